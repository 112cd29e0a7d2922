package main

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/publicsuffix"
)

var (
	parameter  = regexp.MustCompile(`(\w+)="([^"]*)"`)
	repository = regexp.MustCompile(`^/v2/(.+)/(?:manifests|blobs|tags|referrers)/`)
)

const (
	shortestToken = time.Minute
	passwordKept  = 24 * time.Hour
	largestToken  = 1 << 20
)

// tokens are the Authorization headers that the upstream took, by scope.
type tokens struct {
	mu    sync.Mutex
	known map[string]token
}

type token struct {
	header  string
	expires time.Time
}

func (t *tokens) get(scope string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if time.Now().After(t.known[scope].expires) {
		delete(t.known, scope)
	}
	return t.known[scope].header
}

func (t *tokens) set(scope string, fresh token) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.known == nil {
		t.known = map[string]token{}
	}
	t.known[scope] = fresh
}

// authorized sends a request with the credentials that the upstream asks for, and again with fresh ones where it
// refuses those it took before. The answer of a token server that refuses stands for the upstream's own.
func (u *upstream) authorized(r *http.Request, q *question) (*http.Response, error) {
	scope := ""
	if match := repository.FindStringSubmatch(r.URL.Path); match != nil {
		scope = "repository:" + match[1] + ":pull"
	}
	response, err := u.send(with(r, "Authorization", u.tokens.get(scope)), q.timeout)
	if err != nil || response.StatusCode != http.StatusUnauthorized {
		return response, err
	}
	fresh, refusal, err := u.login(r, response.Header.Values("WWW-Authenticate"), scope, q)
	if fresh.header == "" && refusal == nil && err == nil {
		return response, nil
	}
	response.Body.Close()
	if fresh.header == "" {
		return refusal, err
	}
	u.tokens.set(scope, fresh)
	return u.send(with(r, "Authorization", fresh.header), q.timeout)
}

func with(r *http.Request, name, value string) *http.Request {
	clone := r.Clone(r.Context())
	if value != "" {
		clone.Header.Set(name, value)
	}
	return clone
}

// login answers the challenge of an upstream: with the password, or with a token bought for it.
func (u *upstream) login(r *http.Request, challenges []string, scope string, q *question) (token, *http.Response, error) {
	for _, challenge := range challenges {
		scheme, rest, _ := strings.Cut(challenge, " ")
		switch strings.ToLower(scheme) {
		case "basic":
			if u.user != "" {
				return token{u.basic(), time.Now().Add(passwordKept)}, nil, nil
			}
		case "bearer":
			asked := map[string]string{"scope": scope}
			for _, match := range parameter.FindAllStringSubmatch(rest, -1) {
				asked[strings.ToLower(match[1])] = match[2]
			}
			realm, err := url.Parse(asked["realm"])
			if err != nil || !u.trusts(realm) {
				continue
			}
			return u.buy(r, realm, asked["service"], asked["scope"], q)
		}
	}
	return token{}, nil, nil
}

func (u *upstream) basic() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(u.user+":"+u.password))
}

// trusts says whether a token server may see the password: the upstream itself, or a neighbour in its domain.
func (u *upstream) trusts(realm *url.URL) bool {
	if realm.Host == "" || (realm.Scheme != "https" && realm.Scheme != u.url.Scheme) {
		return false
	}
	if strings.EqualFold(realm.Host, u.url.Host) {
		return true
	}
	own, its := u.url.Hostname(), realm.Hostname()
	if net.ParseIP(own) != nil || net.ParseIP(its) != nil {
		return false
	}
	a, errA := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(own))
	b, errB := publicsuffix.EffectiveTLDPlusOne(strings.ToLower(its))
	return errA == nil && errB == nil && a == b
}

func (u *upstream) buy(r *http.Request, realm *url.URL, service, scope string, q *question) (token, *http.Response, error) {
	query := realm.Query()
	query.Set("service", service)
	query.Set("scope", scope)
	request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, realm.String(), nil)
	if err != nil {
		return token{}, nil, err
	}
	if u.user != "" {
		query.Set("account", u.user)
		request.Header.Set("Authorization", u.basic())
	}
	request.URL.RawQuery = query.Encode()
	response, err := u.send(request, q.timeout)
	if err != nil || response.StatusCode != http.StatusOK {
		return token{}, response, err
	}
	defer response.Body.Close()
	var answer struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"`
		ExpiresIn   int    `json:"expires_in"`
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, largestToken)).Decode(&answer); err != nil {
		return token{}, nil, err
	}
	if answer.Token == "" {
		answer.Token = answer.AccessToken
	}
	if answer.Token == "" {
		return token{}, nil, nil
	}
	// A little less than it lasts, so that it is still good when it arrives.
	lasts := max(time.Duration(answer.ExpiresIn)*time.Second, shortestToken) - shortestToken/6
	return token{"Bearer " + answer.Token, time.Now().Add(lasts)}, nil, nil
}
