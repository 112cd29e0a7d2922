// A public registry for labs, which have none: distribution over a folder behind a fault-injecting proxy.
//
//	upstream serve --certificate F --key F --storage DIR [--address A] [--require USER:PASSWORD]
//	upstream set [--delay 50ms] [--bandwidth 100M] [--fault NAME] [--match REGEX]
//	upstream stats [--reset]
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "upstream:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("no command: use serve, set or stats")
	}
	flags := flag.NewFlagSet(args[0], flag.ExitOnError)
	socket := flags.String("socket", "/tmp/upstream.sock", "control socket of the running server")
	switch args[0] {
	case "serve":
		var s server
		flags.StringVar(&s.address, "address", "0.0.0.0:5000", "where to listen")
		flags.StringVar(&s.certificate, "certificate", "", "TLS certificate; plain HTTP without")
		flags.StringVar(&s.key, "key", "", "its key")
		flags.StringVar(&s.storage, "storage", "/tmp/upstream", "folder for the content")
		flags.StringVar(&s.require, "require", "", "user:password that a pull needs")
		flags.Parse(args[1:])
		s.socket = *socket
		return s.run()
	case "set":
		var c faultConfig
		flags.StringVar(&c.Delay, "delay", "0s", "time before each response")
		flags.StringVar(&c.Bandwidth, "bandwidth", "", "bits per second of all connections together: 100M, 2G")
		flags.StringVar(&c.Fault, "fault", "none", strings.Join(faults, ", "))
		flags.StringVar(&c.Match, "match", "", "regular expression on the path; without, blobs and manifests")
		flags.Parse(args[1:])
		return call(*socket, "/set", c)
	case "stats":
		reset := flags.Bool("reset", false, "reset the counters")
		flags.Parse(args[1:])
		return call(*socket, fmt.Sprintf("/stats?reset=%t", *reset), nil)
	}
	return fmt.Errorf("%s is no command: use serve, set or stats", args[0])
}

// call sends a request to the running server's control socket and prints the response.
func call(socket, path string, body any) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	transport := &http.Transport{Dial: func(string, string) (net.Conn, error) { return net.Dial("unix", socket) }}
	response, err := (&http.Client{Transport: transport}).Post("http://upstream"+path, "application/json", bytes.NewReader(text))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	output, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", bytes.TrimSpace(output))
	}
	os.Stdout.Write(output)
	return err
}
