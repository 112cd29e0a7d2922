package collect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes of a command: what was asked is not safe or not possible now, and any other error.
const (
	exitFailed  = 1
	exitRefused = 3
)

// ExitCode is that of a command which ended with an error.
func ExitCode(err error) int {
	if errors.As(err, new(refusal)) {
		return exitRefused
	}
	return exitFailed
}

// Command is the registry's command that collects garbage.
func Command(prepare Prepare) *cobra.Command {
	var file string
	top := &cobra.Command{Use: "collect", Short: "Remove what no manifest needs from the registry's bucket, with undo"}
	top.PersistentFlags().StringVar(&file, "config", "/etc/berth/collect.json", "the collector's configuration, JSON")
	// with makes a subcommand's function of what it does with a collector.
	with := func(out io.Writer, do func(context.Context, *collector, []string) error) func(*cobra.Command, []string) error {
		return func(command *cobra.Command, args []string) error {
			command.SilenceUsage, command.SilenceErrors = true, true
			command.Root().SilenceErrors = true
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
			defer stop()
			return report(out, ctx, func() error {
				config, err := ReadConfig(file)
				if err != nil {
					return err
				}
				made, err := newCollector(config, prepare, out)
				if err != nil {
					return err
				}
				return do(ctx, made, args)
			})
		}
	}
	top.AddCommand(scheduleCommand(with), runCommand(with), statusCommand(with), undoCommand(with))
	return top
}

type wrapper = func(io.Writer, func(context.Context, *collector, []string) error) func(*cobra.Command, []string) error

// report prints the last line of a command that did not succeed.
func report(out io.Writer, ctx context.Context, do func() error) error {
	err := do()
	if err == nil {
		return nil
	}
	event, reason := "failed", err.Error()
	if errors.As(err, new(refusal)) {
		event = "refused"
	} else if ctx.Err() != nil {
		reason = "it was stopped; the next run goes on from here"
	}
	line, _ := json.Marshal(map[string]string{"event": event, "reason": reason})
	fmt.Fprintf(out, "%s\n", line)
	return err
}

func scheduleCommand(with wrapper) *cobra.Command {
	return &cobra.Command{Use: "schedule", Short: "Collect each day at its time, until stopped", Args: cobra.NoArgs,
		RunE: with(os.Stderr, func(ctx context.Context, c *collector, _ []string) error { return c.schedule(ctx) })}
}

func runCommand(with wrapper) *cobra.Command {
	asked := options{trigger: "command"}
	command := &cobra.Command{Use: "run", Short: "Do now what is due", Args: cobra.NoArgs,
		RunE: with(os.Stdout, func(ctx context.Context, c *collector, _ []string) error {
			done, err := c.run(ctx, asked)
			if err == nil {
				c.event("result", done)
			}
			return err
		})}
	command.Flags().BoolVar(&asked.dry, "dry-run", false, "say what would be done, and write nothing")
	command.Flags().BoolVar(&asked.now, "now", false, "do not wait for the grace period")
	command.Flags().IntSliceVar(&asked.confirmed, "confirm", nil, "the number that a refusal has asked for")
	return command
}

func statusCommand(with wrapper) *cobra.Command {
	return &cobra.Command{Use: "status", Short: "What is waiting, what can be reclaimed, the last runs", Args: cobra.NoArgs,
		RunE: with(os.Stdout, func(ctx context.Context, c *collector, _ []string) error {
			found, err := c.status(ctx)
			if err != nil {
				return err
			}
			return json.NewEncoder(os.Stdout).Encode(found)
		})}
}

func undoCommand(with wrapper) *cobra.Command {
	return &cobra.Command{Use: "undo RUN", Short: "Bring back what a run removed", Args: cobra.ExactArgs(1),
		RunE: with(os.Stdout, func(ctx context.Context, c *collector, args []string) error {
			done, err := c.undo(ctx, args[0])
			if err == nil {
				c.event("result", done)
			}
			return err
		})}
}
