package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

// bounds are what one cache may use of its node and of the object store.
type bounds struct {
	// folder holds blobs in transit; where temporary files go if it is empty.
	folder string
	// spool is how many bytes of blobs may be in transit at once, reserve how many the folder's file system keeps free.
	spool, reserve int64
	// keep is how many bytes the object store may hold of this upstream.
	keep int64
	// fetches is how many blobs may come in at once, texts how many manifests and lists may be in memory at once.
	fetches, texts int
	// abandon is how long a fetch goes on that nobody reads, queue how long a request waits for a place.
	abandon, queue time.Duration
}

// The same as the settings have where they say nothing.
var usualBounds = bounds{
	spool: 10 << 30, reserve: 2 << 30, keep: 50 << 30, fetches: 16, texts: 16, abandon: 30 * time.Second, queue: 10 * time.Second,
}

// boundsOf reads what the process was started with.
func boundsOf(environment func(string) string) (bounds, error) {
	found := usualBounds
	found.folder = environment("BERTH_SPOOL")
	fetches, seconds := int64(found.fetches), int64(found.abandon/time.Second)
	for name, field := range map[string]*int64{
		"BERTH_SPOOL_SIZE": &found.spool, "BERTH_SPOOL_RESERVE": &found.reserve, "BERTH_MAX_SIZE": &found.keep,
		"BERTH_FETCHES": &fetches, "BERTH_ABANDON_AFTER": &seconds,
	} {
		text := environment(name)
		if text == "" {
			continue
		}
		value, err := strconv.ParseInt(text, 10, 64)
		if err != nil || value < 0 || (value == 0 && (field == &fetches || field == &found.spool)) {
			return found, fmt.Errorf("%s: %q is not a number that it can be", name, text)
		}
		*field = value
	}
	found.fetches, found.abandon = int(fetches), time.Duration(seconds)*time.Second
	return found, writable(found.folder)
}

// writable is an error where nothing can be kept in a folder.
func writable(folder string) error {
	if folder == "" {
		return nil
	}
	probe, err := os.CreateTemp(folder, "probe-")
	if err != nil {
		return fmt.Errorf("BERTH_SPOOL: %w", err)
	}
	probe.Close()
	return os.Remove(probe.Name())
}
