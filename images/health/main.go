// The health check of images that hold nothing but a Go program: asks one address once.
//
//	health URL [CA [NAME]]
//
// It fails unless the answer is 200. A certificate is checked against the CA of that file, for the URL's host or NAME.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"os"
	"time"
)

// Less than Docker waits for the check, so that the reason is told.
const timeout = 8 * time.Second

func main() {
	if err := ask(os.Args[1:]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func ask(words []string) error {
	if len(words) < 1 || len(words) > 3 {
		return fmt.Errorf("usage: health URL [CA [NAME]]")
	}
	// No proxy: what is asked is in this very container.
	transport := &http.Transport{TLSClientConfig: &tls.Config{}}
	if len(words) > 1 {
		pem, err := os.ReadFile(words[1])
		if err != nil {
			return err
		}
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s holds no certificate", words[1])
		}
	}
	if len(words) > 2 {
		transport.TLSClientConfig.ServerName = words[2]
	}
	answer, err := (&http.Client{Transport: transport, Timeout: timeout}).Get(words[0])
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", words[0], answer.Status)
	}
	return nil
}
