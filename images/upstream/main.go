// A public registry for labs, which have none: distribution over a folder, as slow and as faulty as a test wants it.
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

func run(words []string) error {
	if len(words) == 0 {
		return fmt.Errorf("say serve, set or stats")
	}
	flags := flag.NewFlagSet(words[0], flag.ExitOnError)
	socket := flags.String("socket", "/tmp/upstream.sock", "where a running one is told what to do")
	switch words[0] {
	case "serve":
		var s server
		flags.StringVar(&s.address, "address", "0.0.0.0:5000", "where to listen")
		flags.StringVar(&s.certificate, "certificate", "", "TLS certificate; plain HTTP without")
		flags.StringVar(&s.key, "key", "", "its key")
		flags.StringVar(&s.storage, "storage", "/tmp/upstream", "folder for the content")
		flags.StringVar(&s.require, "require", "", "user:password that a pull needs")
		flags.Parse(words[1:])
		s.socket = *socket
		return s.run()
	case "set":
		var b behaviour
		flags.StringVar(&b.Delay, "delay", "0s", "time before each response")
		flags.StringVar(&b.Bandwidth, "bandwidth", "", "bits per second of all connections together: 100M, 2G")
		flags.StringVar(&b.Fault, "fault", "none", strings.Join(faults, ", "))
		flags.StringVar(&b.Match, "match", "", "regular expression on the path; without, blobs and manifests")
		flags.Parse(words[1:])
		return tell(*socket, "/set", b)
	case "stats":
		reset := flags.Bool("reset", false, "begin counting anew")
		flags.Parse(words[1:])
		return tell(*socket, fmt.Sprintf("/stats?reset=%t", *reset), nil)
	}
	return fmt.Errorf("%s: say serve, set or stats", words[0])
}

// tell asks the running one, and prints its answer.
func tell(socket, path string, what any) error {
	text, err := json.Marshal(what)
	if err != nil {
		return err
	}
	transport := &http.Transport{Dial: func(string, string) (net.Conn, error) { return net.Dial("unix", socket) }}
	response, err := (&http.Client{Transport: transport}).Post("http://upstream"+path, "application/json", bytes.NewReader(text))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	said, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s", bytes.TrimSpace(said))
	}
	os.Stdout.Write(said)
	return err
}
