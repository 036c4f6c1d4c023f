// Command crowd is a crowd of hostile clients: it says "ready" when all are there, goes on until it is told to end, and then says in JSON what became of them.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/jotgate/jotgate/test/hostile"
)

func main() {
	var o hostile.Options
	var fields, clients = flag.String("fields", "", "header lines of requests, separated by |"), flag.Int("clients", 1000, "about how many clients there are")
	flag.StringVar(&o.Address, "address", "", "of the gateway")
	flag.StringVar(&o.Path, "path", "/", "what is answered at once")
	flag.StringVar(&o.Large, "large", "/large", "what is answered with more than a connection's buffers hold")
	flag.DurationVar(&o.Pace, "pace", time.Second, "time between two bytes of those who drip")
	flag.Parse()
	o.Fields = strings.ReplaceAll(*fields, "|", "\r\n") + "\r\n"
	o.Clients = max(*clients/hostile.Kinds(), 1)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	crowd := hostile.Gather(ctx, o)
	select {
	case <-crowd.Ready():
		fmt.Println("ready", crowd.Size())
		<-ctx.Done()
	case <-ctx.Done():
	}
	if err := json.NewEncoder(os.Stdout).Encode(crowd.Disperse()); err != nil {
		fmt.Fprintln(os.Stderr, "crowd:", err)
		os.Exit(1)
	}
}
