// Command app is what the suite releases: it says on /health which version it is, unless
// that version is broken.
package main

import (
	"encoding/json"
	"flag"
	"log"
	"net/http"
	"time"
)

// Set when it is linked.
var version, broken string

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "the `address` to listen on")
	flag.Parse()
	http.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if broken != "" {
			w.WriteHeader(http.StatusInternalServerError)
		}
		_ = json.NewEncoder(w).Encode(map[string]string{"version": version, "fault": broken})
	})
	s := http.Server{Addr: *listen, ReadHeaderTimeout: time.Second}
	log.Fatal(s.ListenAndServe())
}
