// The registry of Berth: distribution as published, with the storage drivers that Berth uses. The upstream command also
// links the clouds' drivers, which are most of its size and of its compile time.
//
// Two things are added to serving. BERTH_ENDPOINT and BERTH_ENDPOINT_SERVERS let it reach the object store's servers without a
// balancer in between (endpoint.go). With a proxy section it is a cache that asks the upstream once for what many want,
// and lets nothing out whose digest is wrong (cache.go).
//
// The command collect removes what no manifest needs from the bucket (collect/).
package main

import (
	"context"
	"expvar"
	"net/http"
	"os"

	"berth.invalid/images/registry/collect"
	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	_ "github.com/distribution/distribution/v3/registry/auth/token"
	_ "github.com/distribution/distribution/v3/registry/proxy"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/middleware/redirect"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/s3-aws"
	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
)

func main() {
	registry.ServeCmd.PreRun = func(_ *cobra.Command, args []string) { prepare(args) }
	registry.RegisterHandler(func(config *configuration.Configuration, inner http.Handler) http.Handler {
		if config.Proxy.RemoteURL == "" {
			return inner
		}
		limits, err := boundsOf(os.Getenv)
		if err != nil {
			logrus.Fatal(err)
		}
		made := newCache(config.Proxy.RemoteURL, limits, opened.Load(), inner)
		// Beside distribution's health page, on the node itself only: /debug/vars.
		expvar.Publish("berth_cache", expvar.Func(made.counts))
		// On its own: a cache is ready before all that it has is listed.
		go made.storage.watch(context.Background())
		return made
	})
	registry.RootCmd.AddCommand(collect.Command(reachStore))
	if err := registry.RootCmd.Execute(); err != nil {
		os.Exit(collect.ExitCode(err))
	}
}

// prepare sets up the HTTP client that distribution takes for the object store and for the upstream alike.
func prepare(args []string) {
	store := http.DefaultTransport.(*http.Transport)
	toUpstream := store.Clone()
	reachStore(store)
	config := read(args)
	if config == nil || config.Proxy.RemoteURL == "" {
		return
	}
	if config.Proxy.CacheWriteTimeout == nil {
		// Five minutes otherwise: a large layer from a slow upstream would be fetched, and never kept.
		os.Setenv("REGISTRY_PROXY_CACHEWRITETIMEOUT", "24h")
	}
	if _, err := boundsOf(os.Getenv); err != nil {
		logrus.Fatal(err)
	}
	guarded, err := newUpstream(config.Proxy.RemoteURL, config.Proxy.Username, config.Proxy.Password, store, toUpstream)
	if err != nil {
		logrus.Fatalf("proxy.remoteurl: %v", err)
	}
	http.DefaultTransport = guarded
}

// reachStore makes a transport go to the object store's servers without a balancer, where they are named.
func reachStore(transport *http.Transport) {
	if address, servers := os.Getenv("BERTH_ENDPOINT"), os.Getenv("BERTH_ENDPOINT_SERVERS"); address != "" && servers != "" {
		newEndpoint(address, servers, usual).install(transport)
	}
}

// read returns nil for a configuration that distribution will refuse: it says so itself.
func read(args []string) *configuration.Configuration {
	path := os.Getenv("REGISTRY_CONFIGURATION_PATH")
	if len(args) > 0 {
		path = args[0]
	}
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	config, err := configuration.Parse(file)
	if err != nil {
		return nil
	}
	return config
}
