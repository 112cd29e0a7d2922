package collect

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"
)

// Config is the file that says what is collected, when, and how carefully.
type Config struct {
	Endpoint  string `json:"endpoint"`
	Region    string `json:"region"`
	Bucket    string `json:"bucket"`
	Root      string `json:"root"`
	AccessKey string `json:"accessKey"`
	SecretKey string `json:"secretKey"`
	CAFile    string `json:"caFile"`
	Holder    string `json:"holder"`

	// At is when a day's run begins, in UTC by the store's clock; Days are those of the week, all where none is named.
	At   string   `json:"at"`
	Days []string `json:"days"`

	// MinimumAge is how long ago a blob has to have been uploaded.
	MinimumAge Duration `json:"minimumAge"`
	// GracePeriod is how long nothing may have needed a blob.
	GracePeriod Duration `json:"gracePeriod"`
	// Settle is longer than any request that writes a manifest.
	Settle Duration `json:"settle"`
	// PurgeAfter is how long a removed blob can be brought back.
	PurgeAfter Duration `json:"purgeAfter"`
	// LockLife is how long a collector may be silent before it counts as dead.
	LockLife Duration `json:"lockLife"`

	MaxShrinkPercent    int `json:"maxShrinkPercent"`
	MaxCondemnedPercent int `json:"maxCondemnedPercent"`
}

// A Duration is written as Go writes it: 24h, 2m.
type Duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err == nil && parsed < 0 {
		err = fmt.Errorf("%s is negative", text)
	}
	*d = Duration(parsed)
	return err
}

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

func (d Duration) std() time.Duration { return time.Duration(d) }

func usualConfig() Config {
	return Config{
		Region: "us-east-1", Root: "/", At: "02:30", MinimumAge: Duration(24 * time.Hour), GracePeriod: Duration(24 * time.Hour),
		Settle: Duration(2 * time.Minute), PurgeAfter: Duration(7 * 24 * time.Hour), LockLife: Duration(2 * time.Minute),
		MaxShrinkPercent: 10, MaxCondemnedPercent: 50,
	}
}

// ReadConfig reads the file; what it leaves out is as usual.
func ReadConfig(path string) (Config, error) {
	config := usualConfig()
	content, err := os.ReadFile(path)
	if err != nil {
		return config, err
	}
	if err := json.Unmarshal(content, &config); err != nil {
		return config, fmt.Errorf("%s: %w", path, err)
	}
	if err := config.check(); err != nil {
		return config, fmt.Errorf("%s: %w", path, err)
	}
	return config, nil
}

func (c Config) check() error {
	for name, value := range map[string]string{
		"endpoint": c.Endpoint, "bucket": c.Bucket, "accessKey": c.AccessKey, "secretKey": c.SecretKey, "holder": c.Holder,
	} {
		if value == "" {
			return fmt.Errorf("%s is missing", name)
		}
	}
	if strings.Trim(c.Root, "/")+"/" == folder {
		return fmt.Errorf("root: %s is where the collector keeps its own", c.Root)
	}
	for name, value := range map[string]int{"maxShrinkPercent": c.MaxShrinkPercent, "maxCondemnedPercent": c.MaxCondemnedPercent} {
		if value < 0 || value > 100 {
			return fmt.Errorf("%s: %d is no percentage", name, value)
		}
	}
	_, err := timetableOf(c)
	return err
}
