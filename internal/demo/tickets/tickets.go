// Package tickets is the small API that the demonstration protects: flight tickets, kept in memory. It knows nothing of tokens. It trusts the identity headers
// that the gateway sets, and repeats them in its answers, so that one sees what reaches an upstream.
package tickets

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
)

const (
	maxTickets = 1000
	maxBody    = 64 << 10
)

// Ticket is a kind of seat on a flight.
type Ticket struct {
	ID         int    `json:"id"`
	FlightCode string `json:"flightCode"`
	Fare       int    `json:"fare"`
	Class      string `json:"class"`
	Available  int    `json:"available"`
	Total      int    `json:"total"`
}

// API is the tickets API. It is safe for concurrent use.
type API struct {
	mux      http.ServeMux
	identity []string

	mu      sync.Mutex // guards tickets
	tickets []Ticket
}

// New makes an API with three tickets. The request headers called identity are repeated in every answer about tickets; no other header is.
func New(identity ...string) *API {
	a := &API{
		identity: slices.Clone(identity),
		tickets: []Ticket{
			{1, "TL123", 500, "first", 5, 20},
			{2, "TL234", 200, "economy", 2, 5},
			{3, "TL345", 300, "business", 3, 10},
		},
	}
	a.mux.HandleFunc("GET /healthz", a.health)
	a.mux.HandleFunc("GET /tickets/health", a.health)
	a.mux.HandleFunc("GET /tickets", a.list)
	a.mux.HandleFunc("GET /tickets/{id}", a.read)
	a.mux.HandleFunc("POST /tickets", a.create)
	return a
}

// ServeHTTP answers GET /tickets, GET /tickets/{id}, POST /tickets, GET /tickets/health and GET /healthz.
func (a *API) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.mux.ServeHTTP(w, r) }

// answer is what every request for tickets is answered with.
type answer struct {
	// Caller are the identity headers as they arrived; empty if nobody vouched for the caller.
	Caller  map[string]string `json:"caller"`
	Tickets []Ticket          `json:"tickets"`
}

func (a *API) health(w http.ResponseWriter, _ *http.Request) {
	reply(w, http.StatusOK, map[string]string{"status": "ok"})
}

func (a *API) list(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	all := slices.Clone(a.tickets)
	a.mu.Unlock()
	reply(w, http.StatusOK, answer{a.caller(r), all})
}

func (a *API) read(w http.ResponseWriter, r *http.Request) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		refuse(w, http.StatusNotFound, "no such ticket")
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if id < 1 || id > len(a.tickets) {
		refuse(w, http.StatusNotFound, "no such ticket")
		return
	}
	reply(w, http.StatusOK, answer{a.caller(r), a.tickets[id-1 : id]})
}

func (a *API) create(w http.ResponseWriter, r *http.Request) {
	ticket, err := decode(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.tickets) >= maxTickets {
		refuse(w, http.StatusInsufficientStorage, "there are enough tickets")
		return
	}
	ticket.ID = len(a.tickets) + 1
	a.tickets = append(a.tickets, ticket)
	w.Header().Set("Location", "/tickets/"+strconv.Itoa(ticket.ID))
	reply(w, http.StatusCreated, answer{a.caller(r), []Ticket{ticket}})
}

// decode reads a new ticket. Its id is not the caller's to choose.
func decode(body io.Reader) (Ticket, error) {
	var ticket Ticket
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&ticket); err != nil {
		return Ticket{}, fmt.Errorf("the body is not a ticket: %w", err)
	}
	switch {
	case ticket.FlightCode == "":
		return Ticket{}, errors.New("flightCode is missing")
	case ticket.ID != 0:
		return Ticket{}, errors.New("the id is given by the API")
	case ticket.Fare < 0 || ticket.Available < 0 || ticket.Available > ticket.Total:
		return Ticket{}, errors.New("fare, available or total is out of range")
	}
	return ticket, nil
}

func (a *API) caller(r *http.Request) map[string]string {
	caller := make(map[string]string)
	for _, name := range a.identity {
		if value := r.Header.Get(name); value != "" {
			caller[name] = value
		}
	}
	return caller
}

func refuse(w http.ResponseWriter, status int, text string) {
	reply(w, status, map[string]string{"error": text})
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// An error here means that the client is gone; there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(body)
}
