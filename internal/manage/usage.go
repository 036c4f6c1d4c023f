package manage

import (
	"net/http"
	"time"

	"github.com/jotgate/jotgate/internal/usage"
)

// usageReport is what callers did.
type usageReport struct {
	Buckets []usage.Bucket `json:"buckets"`
	Callers []usage.Entry  `json:"callers"`
}

func (a *API) usageRoutes() []route {
	query := []string{"from", "until", "step", "api", "issuer", "user", "application", "client", "credential", "policy", "subscription", "plan"}
	return []route{{http.MethodGet, Prefix + "usage", query, a.readUsage}}
}

// readUsage answers with the sums of the last hour unless from and until (RFC 3339) say otherwise.
func (a *API) readUsage(w http.ResponseWriter, r *http.Request) {
	until := a.options.Now()
	from, step := until.Add(-time.Hour), time.Minute
	var err error
	if text := r.FormValue("until"); text != "" && err == nil {
		until, err = time.Parse(time.RFC3339, text)
		from = until.Add(-time.Hour)
	}
	if text := r.FormValue("from"); text != "" && err == nil {
		from, err = time.Parse(time.RFC3339, text)
	}
	if text := r.FormValue("step"); text != "" && err == nil {
		step, err = time.ParseDuration(text)
	}
	if err != nil {
		a.failWith(w, r, "", badRequest("from and until are times such as 2026-01-31T15:00:00Z, step is a duration such as 5m: %w", err))
		return
	}
	// As long ago as it may be, and as far ahead: times whose minutes can be counted.
	minutes := (until.Unix()-from.Unix())/60 + 2
	switch {
	case step < time.Minute:
		err = badRequest("step must be at least 1m")
	case !from.Before(until) || from.Unix() < 0 || minutes/int64(step/time.Minute) >= usage.MaxBuckets-1:
		err = badRequest("from must be after 1969 and before until, with less than %d steps between them", usage.MaxBuckets-1)
	}
	if err != nil {
		a.failWith(w, r, "", err)
		return
	}
	filter := usage.Filter{
		API: r.FormValue("api"), Issuer: r.FormValue("issuer"), User: r.FormValue("user"), Application: r.FormValue("application"), ClientID: r.FormValue("client"),
		Credential: r.FormValue("credential"), Policies: r.FormValue("policy"), Subscription: r.FormValue("subscription"), Plan: r.FormValue("plan"),
	}
	buckets, callers, err := usage.Read(r.Context(), a.options.Store, from, until, step, filter)
	if err != nil {
		a.failWith(w, r, "", err)
		return
	}
	answer(w, http.StatusOK, usageReport{buckets, callers})
}
