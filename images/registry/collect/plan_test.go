package collect

import (
	"strings"
	"testing"
	"time"

	"berth.invalid/images/registry/collect/layout"
	"github.com/opencontainers/go-digest"
)

var (
	noon  = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	first = digest.FromString("first")

	testLayout = layout.New(rootDirectory)
)

// a markOf has one blob that was uploaded long ago, and needs nothing.
func markOf(at time.Time, of blob) *mark {
	of.modified = noon.AddDate(0, -1, 0)
	return &mark{started: at, blobs: map[digest.Digest]*blob{first: &of}, needed: map[digest.Digest]struct{}{}}
}

func TestABlobIsCondemnedAGracePeriodAfterItWasFound(t *testing.T) {
	before := markOf(noon, blob{version: "1"}).candidates(nil, time.Hour)
	for later, want := range map[time.Duration]int{23 * time.Hour: 0, 24 * time.Hour: 1} {
		now := markOf(noon.Add(later), blob{version: "1"})
		if condemned, waiting := now.condemned(now.candidates(before, time.Hour), 24*time.Hour); len(condemned) != want || len(waiting) != 1-want {
			t.Errorf("%s later: %v", later, condemned)
		}
	}
}

func TestTheGracePeriodOfABlobBeginsAnew(t *testing.T) {
	before := markOf(noon, blob{version: "1"}).candidates(nil, time.Hour)
	other := markOf(noon.AddDate(0, 0, 2), blob{version: "2"})
	if found := other.candidates(before, time.Hour); !found[0].Since.Equal(other.started) {
		t.Errorf("with another version: %+v", found)
	}
	needed := markOf(noon.AddDate(0, 0, 1), blob{version: "1"})
	needed.needed[first] = struct{}{}
	between := needed.candidates(before, time.Hour)
	again := markOf(noon.AddDate(0, 0, 2), blob{version: "1"})
	if found := again.candidates(between, time.Hour); len(between) != 0 || !found[0].Since.Equal(again.started) {
		t.Errorf("after it was needed: %+v", found)
	}
}

func TestOneMarkIsNotTwo(t *testing.T) {
	now := markOf(noon, blob{version: "1"})
	if condemned, _ := now.condemned(now.candidates(nil, 0), 0); len(condemned) != 0 {
		t.Errorf("%v", condemned)
	}
}

func TestAPurgeWaitsFromWhenABlobWasHidden(t *testing.T) {
	week := 7 * 24 * time.Hour
	for name, is := range map[string]struct {
		blob  blob
		count int
	}{
		"hidden a week ago":   {blob{version: "1", bytes: 5, markers: []string{"m"}, hiddenAt: noon.Add(-week)}, 1},
		"hidden later":        {blob{version: "1", bytes: 5, markers: []string{"m"}, hiddenAt: noon.Add(-week + 1)}, 0},
		"replaced a week ago": {blob{version: "2", bytes: 5, older: []older{{version: "1", bytes: 5}}}, 1},
		"visible":             {blob{version: "1", bytes: 5}, 0},
	} {
		found := markOf(noon, is.blob).purge(testLayout, week)
		if found.blobs != is.count || len(found.data) != is.count {
			t.Errorf("%s: %+v", name, found)
		}
		for _, each := range found.data {
			if each.Version != "1" {
				t.Errorf("%s: %+v", name, each)
			}
		}
	}
}

func TestAMarkerAboveNothingIsRemovedAtOnce(t *testing.T) {
	found := markOf(noon, blob{markers: []string{"m"}, hiddenAt: noon}).purge(testLayout, time.Hour)
	if len(found.markers) != 1 || len(found.data) != 0 || found.bytes != 0 {
		t.Errorf("%+v", found)
	}
}

func TestAFewEntriesMayVanishFromAShortList(t *testing.T) {
	for _, is := range []struct {
		before, now int
		want        bool
	}{{10, 0, false}, {11, 0, true}, {1000, 900, false}, {1000, 899, true}, {5, 50, false}, {0, 0, false}} {
		if shrunk(is.before, is.now, 10) != is.want {
			t.Errorf("%+v", is)
		}
	}
}

func TestATimetableIsKeptOnceADay(t *testing.T) {
	at := func(text string) time.Time {
		found, err := time.Parse("Mon 2006-01-02 15:04", text)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	for _, is := range []struct {
		days      string
		now, last string
		want      bool
	}{
		{"", "Mon 2026-11-30 02:29", "Sun 2026-11-29 02:30", false},
		{"", "Mon 2026-11-30 02:30", "Sun 2026-11-29 02:30", true},
		{"", "Mon 2026-11-30 02:31", "Mon 2026-11-30 02:30", false},
		{"", "Mon 2026-11-30 08:29", "Sun 2026-11-29 02:30", true},
		{"", "Mon 2026-11-30 08:31", "Sun 2026-11-29 02:30", false},
		{"mon,thu", "Mon 2026-11-30 02:30", "Thu 2026-11-26 02:30", true},
		{"mon,thu", "Tue 2026-12-01 02:30", "Mon 2026-11-30 02:30", false},
	} {
		config := Config{At: "02:30"}
		if is.days != "" {
			config.Days = strings.Split(is.days, ",")
		}
		when, err := timetableOf(config)
		if err != nil || when.due(at(is.now), at(is.last)) != is.want {
			t.Errorf("%+v: %v", is, err)
		}
	}
}

func TestAConfigurationThatCannotBeMeantIsRefused(t *testing.T) {
	whole := usualConfig()
	whole.Endpoint, whole.Bucket, whole.AccessKey, whole.SecretKey, whole.Holder = "a", "b", "c", "d", "e"
	if err := whole.check(); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*Config){
		"bucket":           func(c *Config) { c.Bucket = "" },
		"at":               func(c *Config) { c.At = "25:00" },
		"days":             func(c *Config) { c.Days = []string{"someday"} },
		"root":             func(c *Config) { c.Root = "/gc" },
		"maxShrinkPercent": func(c *Config) { c.MaxShrinkPercent = -1 },
	} {
		spoiled := whole
		spoil(&spoiled)
		if err := spoiled.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
