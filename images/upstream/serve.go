package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
)

type server struct {
	address, certificate, key, storage, require, socket string
}

const settings = `version: 0.1
log: {level: warn}
storage:
  filesystem: {rootdirectory: %q}
  delete: {enabled: true}
  maintenance: {uploadpurging: {enabled: false}}
http: {addr: "0.0.0.0:0", relativeurls: true}
`

// registry is distribution's own handler over a folder.
func registry(storage string) (http.Handler, error) {
	config, err := configuration.Parse(strings.NewReader(fmt.Sprintf(settings, storage)))
	if err != nil {
		return nil, err
	}
	return handlers.NewApp(context.Background(), config), nil
}

func (s *server) run() error {
	inner, err := registry(s.storage)
	if err != nil {
		return err
	}
	proxy := newFaultProxy(inner, s.require)
	os.Remove(s.socket)
	control, err := net.Listen("unix", s.socket)
	if err != nil {
		return err
	}
	over := make(chan error, 2)
	go func() { over <- http.Serve(control, proxy.control()) }()
	go func() {
		public := &http.Server{Addr: s.address, Handler: proxy}
		if s.certificate == "" {
			over <- public.ListenAndServe()
		} else {
			over <- public.ListenAndServeTLS(s.certificate, s.key)
		}
	}()
	return <-over
}

// control is the API of `set` and `stats`, served on the control socket.
func (p *faultProxy) control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/set", func(w http.ResponseWriter, r *http.Request) {
		var config faultConfig
		err := json.NewDecoder(r.Body).Decode(&config)
		if err == nil {
			err = p.configure(config)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
		}
	})
	mux.HandleFunc("/stats", func(w http.ResponseWriter, r *http.Request) {
		json.NewEncoder(w).Encode(p.stats(r.FormValue("reset") == "true"))
	})
	return mux
}
