// loadgen drives a Kubernetes API server, or EKS's DescribeCluster, with plain net/http over TLS, and prints one JSON object a step. Standard library only.
//
//	loadgen -server URL -cert FILE -key FILE -n OBJECTS -c WORKERS create get list watch
//	loadgen -server URL -access-key ID -secret-key SECRET -cluster NAME -n CALLS -c WORKERS describe
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

var (
	server   = flag.String("server", "https://127.0.0.1:6443", "API server")
	cert     = flag.String("cert", "", "client certificate (PEM file)")
	key      = flag.String("key", "", "client key (PEM file)")
	objects  = flag.Int("n", 10000, "pods")
	workers  = flag.Int("c", 64, "clients at once")
	conns    = flag.Int("conns", 4, "TCP connections")
	watchers = flag.Int("w", 1000, "watchers")
	rate     = flag.Int("rate", 200, "changes a second while watching")
	seconds  = flag.Int("seconds", 10, "seconds of watching")
	ns       = flag.String("ns", "kbench", "namespace")
)

type result struct {
	Step    string  `json:"step"`
	Count   int     `json:"count"`
	Seconds float64 `json:"seconds"`
	PerSec  float64 `json:"per_second"`
	P50     float64 `json:"p50_ms"`
	P99     float64 `json:"p99_ms"`
	Bytes   int64   `json:"bytes"`
	Errors  int64   `json:"errors"`
}

var clients []*http.Client

func fatal(err error) { fmt.Fprintln(os.Stderr, "loadgen:", err); os.Exit(1) }

func newClient() *http.Client {
	// The server's certificate is of a CA made for the measurement.
	config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}}
	if *cert != "" {
		pair, err := tls.LoadX509KeyPair(*cert, *key)
		if err != nil {
			fatal(err)
		}
		config.Certificates = []tls.Certificate{pair}
	} else {
		// AWS's SDKs speak HTTP/1.1.
		config.NextProtos = []string{"http/1.1"}
		return &http.Client{Transport: &http.Transport{TLSClientConfig: config, MaxIdleConnsPerHost: 1024}}
	}
	return &http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 1024}}
}

func send(i int, method, path string, body []byte) (*http.Response, error) {
	request, err := http.NewRequest(method, *server+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	return clients[i%len(clients)].Do(request)
}

// do sends a request and reads the whole answer, which must have the status.
func do(i int, method, path string, body []byte, want int) (int64, error) {
	response, err := send(i, method, path, body)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != want {
		err = fmt.Errorf("%s %s: HTTP %d: %.300s", method, path, response.StatusCode, answer)
	}
	return int64(len(answer)), err
}

// pod is a pod of about 2.5 KB, with what pods of workloads have: two containers, probes, resources, environment, a volume.
func pod(name string) []byte {
	var env []map[string]string
	for i := 0; i < 8; i++ {
		env = append(env, map[string]string{"name": fmt.Sprintf("SETTING_%d", i), "value": strings.Repeat("v", 24)})
	}
	var containers []any
	for _, c := range []string{"web", "sidecar"} {
		containers = append(containers, map[string]any{
			"name": c, "image": "registry.example/app/" + c + ":1.2.3", "env": env,
			"ports":          []any{map[string]any{"containerPort": 8080, "name": "http"}},
			"resources":      map[string]any{"requests": map[string]string{"cpu": "100m", "memory": "64Mi"}, "limits": map[string]string{"memory": "128Mi"}},
			"readinessProbe": map[string]any{"httpGet": map[string]any{"path": "/healthz", "port": 8080}, "periodSeconds": 10},
			"volumeMounts":   []any{map[string]any{"name": "data", "mountPath": "/data"}},
		})
	}
	body, _ := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"name": name, "labels": map[string]string{"app": "loadgen", "tier": "backend", "release": "stable"},
			"annotations": map[string]string{"example.com/checksum": strings.Repeat("a", 64)}},
		"spec": map[string]any{"schedulerName": "loadgen-none", "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
			"containers": containers, "volumes": []any{map[string]any{"name": "data", "emptyDir": map[string]any{}}}},
	})
	return body
}

func summary(step string, took time.Duration, latencies []float64, size, errors int64) result {
	sort.Float64s(latencies)
	r := result{Step: step, Count: len(latencies), Seconds: took.Seconds(), PerSec: float64(len(latencies)) / took.Seconds(), Bytes: size, Errors: errors}
	if len(latencies) > 0 {
		r.P50, r.P99 = latencies[len(latencies)/2], latencies[len(latencies)*99/100]
	}
	return r
}

var firstError sync.Once

func parallel(step string, count, workers int, f func(i int) (int64, error)) result {
	latencies := make([]float64, count)
	var next, failed, size int64 = -1, 0, 0
	var group sync.WaitGroup
	start := time.Now()
	for w := 0; w < workers; w++ {
		group.Add(1)
		go func() {
			defer group.Done()
			for i := int(atomic.AddInt64(&next, 1)); i < count; i = int(atomic.AddInt64(&next, 1)) {
				began := time.Now()
				n, err := f(i)
				latencies[i] = float64(time.Since(began).Microseconds()) / 1000
				atomic.AddInt64(&size, n)
				if err != nil {
					atomic.AddInt64(&failed, 1)
					firstError.Do(func() { fmt.Fprintln(os.Stderr, "loadgen: first error:", err) })
				}
			}
		}()
	}
	group.Wait()
	return summary(step, time.Since(start), latencies, size, failed)
}

// watch opens the watchers, then makes changes at an even rate, and measures how long after it was sent each watcher has read each change.
func watch(base string) result {
	changes := *rate * *seconds
	var ready, done sync.WaitGroup
	var failed int64
	lags := make([][]float64, *watchers)
	sent := make([]atomic.Int64, changes)
	for w := range lags {
		ready.Add(1)
		done.Add(1)
		go func(w int) {
			defer done.Done()
			response, err := send(w, "GET", base+"?watch=1&resourceVersion=0&labelSelector=app%3Dloadgen-watch", nil)
			ready.Done()
			if err != nil {
				atomic.AddInt64(&failed, 1)
				return
			}
			defer response.Body.Close()
			stop := time.AfterFunc(time.Duration(*seconds+30)*time.Second, func() { response.Body.Close() })
			defer stop.Stop()
			lines := bufio.NewReaderSize(response.Body, 64<<10)
			for len(lags[w]) < changes {
				line, err := lines.ReadSlice('\n')
				if err != nil {
					atomic.AddInt64(&failed, int64(changes-len(lags[w])))
					return
				}
				var number int
				at := bytes.Index(line, []byte(`"number":"`))
				if at < 0 {
					continue
				}
				for _, c := range line[at+10:] {
					if c < '0' || c > '9' {
						break
					}
					number = number*10 + int(c-'0')
				}
				lags[w] = append(lags[w], float64(time.Now().UnixMicro()-sent[number].Load())/1000)
			}
		}(w)
	}
	ready.Wait()
	time.Sleep(time.Second)
	start := time.Now()
	var writes sync.WaitGroup
	for i := 0; i < changes; i++ {
		time.Sleep(time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(*rate))))
		writes.Add(1)
		go func(i int) {
			defer writes.Done()
			body, _ := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "ConfigMap",
				"metadata": map[string]any{"name": fmt.Sprintf("w-%d", i), "labels": map[string]string{"app": "loadgen-watch"}},
				"data":     map[string]string{"number": fmt.Sprint(i), "pad": strings.Repeat("x", 1024)}})
			sent[i].Store(time.Now().UnixMicro())
			if _, err := do(i, "POST", base, body, 201); err != nil {
				atomic.AddInt64(&failed, 1)
				firstError.Do(func() { fmt.Fprintln(os.Stderr, "loadgen: first error:", err) })
			}
		}(i)
	}
	writes.Wait()
	done.Wait()
	var all []float64
	for _, l := range lags {
		all = append(all, l...)
	}
	return summary("watch", time.Since(start), all, 0, failed)
}

func main() {
	flag.Parse()
	for i := 0; i < *conns; i++ {
		clients = append(clients, newClient())
	}
	if *accessKey == "" {
		// What is there already is fine.
		do(0, "POST", "/api/v1/namespaces", []byte(`{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"`+*ns+`"}}`), 201)
		do(0, "POST", "/api/v1/namespaces/"+*ns+"/serviceaccounts", []byte(`{"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"default"}}`), 201)
	}
	// Go's transport dials once for each request that comes before its first connection stands, and keeps any one of them. Each client has its connection
	// before it is measured, as programs do that have listed before they watch; the server's event loops then share them evenly.
	for i := range clients {
		do(i, "GET", "/version", nil, 200)
	}
	base := "/api/v1/namespaces/" + *ns
	name := func(i int) string { return fmt.Sprintf("p-%06d", i) }
	for _, step := range flag.Args() {
		var r result
		switch step {
		case "create":
			r = parallel(step, *objects, *workers, func(i int) (int64, error) { return do(i, "POST", base+"/pods", pod(name(i)), 201) })
		case "get":
			r = parallel(step, *objects*2, *workers, func(i int) (int64, error) { return do(i, "GET", base+"/pods/"+name(i%*objects), nil, 200) })
		case "list":
			r = parallel(step, 5, 1, func(i int) (int64, error) { return do(i, "GET", base+"/pods?resourceVersion=0", nil, 200) })
		case "watch":
			r = watch(base + "/configmaps")
		case "describe":
			r = parallel(step, *objects, *workers, describe)
		default:
			fatal(fmt.Errorf("no step %q", step))
		}
		json.NewEncoder(os.Stdout).Encode(r)
	}
}
