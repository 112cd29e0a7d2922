package collect

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// late is how long after its time a run still begins, where no collector could at the time itself.
const late = 6 * time.Hour

// A timetable says when runs begin.
type timetable struct {
	hour, minute int
	days         []time.Weekday
}

func timetableOf(config Config) (timetable, error) {
	at, err := time.Parse("15:04", config.At)
	if err != nil {
		return timetable{}, fmt.Errorf("at: %q is no time of day such as 02:30", config.At)
	}
	made := timetable{hour: at.Hour(), minute: at.Minute()}
	for _, name := range config.Days {
		day, err := weekday(name)
		if err != nil {
			return timetable{}, err
		}
		made.days = append(made.days, day)
	}
	return made, nil
}

func weekday(name string) (time.Weekday, error) {
	for day := time.Sunday; day <= time.Saturday; day++ {
		if len(name) >= 3 && strings.HasPrefix(strings.ToLower(day.String()), strings.ToLower(name)) {
			return day, nil
		}
	}
	return 0, fmt.Errorf("days: %q is no day of the week such as mon", name)
}

// due is the run that should have begun by now and has not, if there is one.
func (t timetable) due(now, last time.Time) bool {
	slot := time.Date(now.Year(), now.Month(), now.Day(), t.hour, t.minute, 0, 0, time.UTC)
	if slot.After(now) {
		slot = slot.AddDate(0, 0, -1)
	}
	if len(t.days) > 0 && !slices.Contains(t.days, slot.Weekday()) {
		return false
	}
	return last.Before(slot) && now.Sub(slot) < late
}
