package tickets_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/jotgate/jotgate/internal/demo/tickets"
)

func TestAPI(t *testing.T) {
	first := tickets.Ticket{ID: 1, FlightCode: "TL123", Fare: 500, Class: "first", Available: 5, Total: 20}
	created := tickets.Ticket{ID: 4, FlightCode: "TL9", Fare: 1, Class: "economy", Available: 2, Total: 2}
	tests := []struct {
		name, method, path, body string
		header                   map[string]string
		status                   int
		caller                   map[string]string
		count                    int
		only                     *tickets.Ticket
	}{
		{name: "list", method: "GET", path: "/tickets", status: 200, caller: map[string]string{}, count: 3},
		{
			name: "identity headers are repeated, others are not", method: "GET", path: "/tickets", status: 200, count: 3,
			header: map[string]string{"X-User": "alice", "Authorization": "Bearer x", "X-Other": "y"},
			caller: map[string]string{"X-User": "alice"},
		},
		{name: "read", method: "GET", path: "/tickets/1", status: 200, caller: map[string]string{}, count: 1, only: &first},
		{name: "unknown", method: "GET", path: "/tickets/4", status: 404},
		{name: "zero", method: "GET", path: "/tickets/0", status: 404},
		{name: "not a number", method: "GET", path: "/tickets/x", status: 404},
		{name: "health of the API", method: "GET", path: "/tickets/health", status: 200},
		{name: "health of the server", method: "GET", path: "/healthz", status: 200},
		{
			name: "create", method: "POST", path: "/tickets", status: 201, caller: map[string]string{}, count: 1, only: &created,
			body: `{"flightCode":"TL9","fare":1,"class":"economy","available":2,"total":2}`,
		},
		{name: "create without a flight", method: "POST", path: "/tickets", body: `{}`, status: 400},
		{name: "create with an id", method: "POST", path: "/tickets", body: `{"id":1,"flightCode":"A"}`, status: 400},
		{name: "create with too many seats", method: "POST", path: "/tickets", body: `{"flightCode":"A","available":2,"total":1}`, status: 400},
		{name: "create with another member", method: "POST", path: "/tickets", body: `{"flightCode":"A","admin":true}`, status: 400},
		{name: "create without JSON", method: "POST", path: "/tickets", body: `x`, status: 400},
		{name: "other method", method: "DELETE", path: "/tickets", status: 405},
		{name: "other path", method: "GET", path: "/", status: 404},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, tt.path, strings.NewReader(tt.body))
			for name, value := range tt.header {
				r.Header.Set(name, value)
			}
			w := httptest.NewRecorder()
			tickets.New("X-User").ServeHTTP(w, r)
			if w.Code != tt.status {
				t.Fatalf("status %d, want %d: %s", w.Code, tt.status, w.Body)
			}
			if tt.caller == nil {
				return
			}
			var got struct {
				Caller  map[string]string
				Tickets []tickets.Ticket
			}
			if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.caller, got.Caller); diff != "" {
				t.Errorf("caller (-want +got):\n%s", diff)
			}
			if len(got.Tickets) != tt.count {
				t.Errorf("%d tickets, want %d", len(got.Tickets), tt.count)
			}
			if tt.only != nil {
				if diff := cmp.Diff(*tt.only, got.Tickets[0]); diff != "" {
					t.Errorf("ticket (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestTicketsAreBounded(t *testing.T) {
	api := tickets.New()
	last := 0
	for range 1100 {
		w := httptest.NewRecorder()
		api.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/tickets", strings.NewReader(`{"flightCode":"A"}`)))
		last = w.Code
	}
	if last != http.StatusInsufficientStorage {
		t.Errorf("status %d after 1100 tickets, want 507", last)
	}
}
