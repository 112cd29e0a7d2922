package collect

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"berth.invalid/images/registry/collect/store"
)

// A health check says why the store's listings cannot be relied on now; nil where they can.
type health func(ctx context.Context) error

type drives struct {
	Disks []struct {
		Endpoint string `json:"endpoint"`
		State    string `json:"state"`
		Healing  bool   `json:"healing"`
	}
}

// drivesOf asks MinIO for its drives. A listing asks only those that are online and whole: with fewer of them it may lack
// what was written lately.
func drivesOf(in *store.Client) health {
	return func(ctx context.Context) error {
		var found drives
		err := in.Admin(ctx, "storageinfo", func(body io.Reader) error {
			return json.NewDecoder(body).Decode(&found)
		})
		if store.IsForbidden(err) {
			return refuse("the collector's account may not ask MinIO for its drives: give it admin:StorageInfo")
		}
		if err != nil {
			return fmt.Errorf("asking MinIO for its drives: %w", err)
		}
		if len(found.Disks) == 0 {
			return refuse("MinIO names no drive: nothing is collected from a store whose health is not known")
		}
		for _, drive := range found.Disks {
			if drive.State != "ok" {
				return refuse("drive %s is %s: wait until MinIO has all drives back", drive.Endpoint, drive.State)
			}
			if drive.Healing {
				return refuse("drive %s is being healed: wait until MinIO is done", drive.Endpoint)
			}
		}
		return nil
	}
}
