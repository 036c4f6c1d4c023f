package manage

// Operation is a route as the tests see it.
type Operation struct {
	Method, Path string
	Query        []string
}

// Routes are all operations of the API.
func Routes() (all []Operation) {
	for _, r := range New(Options{}).routes() {
		all = append(all, Operation{r.method, r.path, r.query})
	}
	return all
}
