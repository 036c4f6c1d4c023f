package manage_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	"github.com/jotgate/jotgate/internal/manage"
	"github.com/jotgate/jotgate/internal/source/api"
)

//go:generate go test -run "^TestDocument$" -update .

var update = flag.Bool("update", false, "write the OpenAPI document")

type object = map[string]any

func reference(name string) object { return object{"$ref": "#/components/" + name} }

// nounOf are the schemas of the kinds.
var nounOf = map[api.Kind]string{
	api.Policies: "Policy", api.Plans: "Plan", api.AccessRules: "AccessRule", api.GroupRates: "GroupRate", api.Applications: "Application", api.Subscriptions: "Subscription",
}

// TestDocument fails when openapi.json is not what contract.yaml and the schema of the configuration say.
func TestDocument(t *testing.T) {
	text, err := os.ReadFile("contract.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var document object
	if err := yaml.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	components := document["components"].(object)
	schemas := components["schemas"].(object)
	for _, kind := range api.Kinds() {
		maps.Copy(document["paths"].(object), nounPaths(string(kind), nounOf[kind], schemas))
	}
	addNouns(t, schemas)
	var want bytes.Buffer
	encoder := json.NewEncoder(&want)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(document); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("openapi.json", want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want.String(), string(got)); diff != "" {
		t.Errorf("openapi.json is not current, run make generate (-want +got)\n%s", diff)
	}
}

// nounPaths are the operations of a kind; its lists and items are added to schemas.
func nounPaths(kind, noun string, schemas object) object {
	content := func(schema string) object {
		return object{"application/json": object{"schema": reference("schemas/" + schema)}}
	}
	one := func(description string) object {
		return object{"description": description, "headers": object{"ETag": reference("headers/ETag")}, "content": content(noun + "Item")}
	}
	operation := func(id, summary string, parameters []any, responses object) object {
		responses["default"] = reference("responses/Problem")
		return object{"operationId": id, "tags": []any{"nouns"}, "summary": summary, "parameters": parameters, "responses": responses}
	}
	schemas[noun+"Item"] = object{
		"type": "object", "additionalProperties": false, "required": []any{"name", "origin", "value"}, "properties": object{
			"name": object{"type": "string"}, "origin": object{"type": "string", "enum": []any{"configuration", "api"}},
			"etag": object{"type": "string", "description": "The version; of those that can be changed here."}, "value": reference("schemas/" + noun),
		},
	}
	schemas[noun+"List"] = object{
		"type": "object", "additionalProperties": false, "required": []any{"items"},
		"properties": object{"items": object{"type": "array", "items": reference("schemas/" + noun + "Item")}, "next": reference("schemas/Next")},
	}
	created := one("It is made and in force.")
	created["headers"].(object)["Location"] = reference("headers/Location")
	put := operation("put"+noun, "Makes or replaces one, if the whole configuration is good with it.", []any{reference("parameters/IfMatch"), reference("parameters/IfNoneMatch")},
		object{"200": one("It is changed and in force."), "201": created})
	put["requestBody"] = object{"required": true, "content": object{"application/json": object{"schema": reference("schemas/" + noun)}, "application/yaml": object{"schema": reference("schemas/" + noun)}}}
	return object{
		"/v1/" + kind: object{"get": operation("list"+noun, "All of a kind, by name.", []any{reference("parameters/After"), reference("parameters/Limit")},
			object{"200": object{"description": "A page.", "content": content(noun + "List")}})},
		"/v1/" + kind + "/{name}": object{
			"parameters": []any{reference("parameters/Name")},
			"get": operation("get"+noun, "One.", []any{reference("parameters/IfNoneMatchTag")},
				object{"200": one("It."), "304": reference("responses/NotModified")}),
			"put": put,
			"delete": operation("delete"+noun, "Removes one, if the whole configuration is good without it.", []any{reference("parameters/IfMatch")},
				object{"204": object{"description": "It is gone."}}),
		},
	}
}

// addNouns adds the schemas of the nouns, and of their parts, from that of the configuration. References to files and the environment are not taken here.
func addNouns(t *testing.T, schemas object) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "reference", "jotgate.schema.json"))
	if err != nil {
		t.Fatal(err)
	}
	var configuration struct {
		Defs map[string]object `json:"$defs"`
	}
	if err := json.Unmarshal(text, &configuration); err != nil {
		t.Fatal(err)
	}
	var add func(name string)
	var convert func(any) any
	convert = func(value any) any {
		switch v := value.(type) {
		case []any:
			for i := range v {
				v[i] = convert(v[i])
			}
		case object:
			for key, part := range v {
				v[key] = convert(part)
			}
			if name, ok := strings.CutPrefix(fmt.Sprint(v["$ref"]), "#/$defs/"); ok {
				v["$ref"] = "#/components/schemas/" + name
				add(name)
			}
		}
		return value
	}
	add = func(name string) {
		def := configuration.Defs[name]
		if def == nil {
			t.Fatalf("the schema of the configuration has no %s", name)
		}
		if schemas[name] != nil {
			return
		}
		if either, ok := def["anyOf"].([]any); ok { // a value, or a reference
			description := def["description"]
			def = either[0].(object)
			def["description"] = description
		}
		schemas[name] = def
		convert(def)
	}
	for _, noun := range nounOf {
		add(noun)
	}
}

// contract is the document that the API serves.
type contract struct {
	Paths map[string]map[string]struct {
		Parameters []object `json:"parameters"`
		Responses  object   `json:"responses"`
	} `json:"paths"`
	mu       sync.Mutex // guards compiler
	compiler *jsonschema.Compiler
}

func readContract(t *testing.T) *contract {
	t.Helper()
	text, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var whole struct {
		Paths      map[string]object `json:"paths"`
		Components object            `json:"components"`
	}
	if err := json.Unmarshal(text, &whole); err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := &contract{compiler: jsonschema.NewCompiler()}
	c.compiler.DefaultDraft(jsonschema.Draft2020)
	c.compiler.AssertFormat()
	if err := c.compiler.AddResource("https://jotgate.invalid/openapi.json", document); err != nil {
		t.Fatal(err)
	}
	for _, item := range whole.Paths {
		delete(item, "parameters") // of all methods of the path
	}
	text, err = json.Marshal(object{"paths": whole.Paths})
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, c); err != nil {
		t.Fatal(err)
	}
	return c
}

// check validates an answer, or a body that was sent, against a place of the document.
func (c *contract) check(place string, body []byte) error {
	c.mu.Lock()
	schema, err := c.compiler.Compile("https://jotgate.invalid/openapi.json#" + place)
	c.mu.Unlock()
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

func escape(path string) string {
	return strings.ReplaceAll(strings.ReplaceAll(path, "~", "~0"), "/", "~1")
}

// place returns where the schema of an answer is, "" if it has no body.
func (c *contract) place(method, path string, status int, media string) (string, error) {
	operation, ok := c.Paths[path][strings.ToLower(method)]
	if !ok {
		return "", fmt.Errorf("there is no %s of %s in the document", method, path)
	}
	key := fmt.Sprint(status)
	response, ok := operation.Responses[key].(object)
	if !ok {
		if status < 400 {
			return "", fmt.Errorf("%s of %s has no answer %d in the document", method, path, status)
		}
		key = "default"
		response = operation.Responses[key].(object)
	}
	place := "/paths/" + escape(path) + "/" + strings.ToLower(method) + "/responses/" + key
	if ref, ok := response["$ref"].(string); ok {
		place = strings.TrimPrefix(ref, "#")
		if place == "/components/responses/NotModified" {
			return "", nil
		}
	} else if response["content"] == nil {
		return "", nil
	}
	return place + "/content/" + escape(media) + "/schema", nil
}

// TestRoutes fails when the document and the API do not have the same operations and parameters.
func TestRoutes(t *testing.T) {
	var served, documented []string
	for _, r := range manage.Routes() {
		query := slices.Clone(r.Query)
		slices.Sort(query)
		served = append(served, fmt.Sprint(r.Method, " ", strings.ReplaceAll(r.Path, "...}", "}"), " ", query))
	}
	for path, item := range readContract(t).Paths {
		for method, operation := range item {
			query := []string{}
			for _, parameter := range operation.Parameters {
				switch {
				case parameter["in"] == "query":
					query = append(query, parameter["name"].(string))
				case parameter["$ref"] == "#/components/parameters/After":
					query = append(query, "after")
				case parameter["$ref"] == "#/components/parameters/Limit":
					query = append(query, "limit")
				}
			}
			slices.Sort(query)
			documented = append(documented, fmt.Sprint(strings.ToUpper(method), " ", path, " ", query))
		}
	}
	slices.Sort(served)
	slices.Sort(documented)
	if diff := cmp.Diff(served, documented); diff != "" {
		t.Errorf("-served +documented\n%s", diff)
	}
}

// TestDocumentIsWhole: every reference leads somewhere, and every schema can be compiled.
func TestDocumentIsWhole(t *testing.T) {
	text, err := os.ReadFile("openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var document object
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	used := make(map[string]bool)
	var walk func(any)
	walk = func(value any) {
		switch v := value.(type) {
		case []any:
			for _, part := range v {
				walk(part)
			}
		case object:
			if ref, ok := v["$ref"].(string); ok {
				used[ref] = true
				var at any = document
				for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
					next, _ := at.(object)
					at = next[part]
				}
				if at == nil {
					t.Errorf("%s leads nowhere", ref)
				}
			}
			for _, part := range v {
				walk(part)
			}
		}
	}
	walk(document)
	c := readContract(t)
	for section, all := range document["components"].(object) {
		for name := range all.(object) {
			if section == "schemas" {
				if _, err := c.compiler.Compile("https://jotgate.invalid/openapi.json#/components/schemas/" + name); err != nil {
					t.Error(err)
				}
			}
			if section != "securitySchemes" && !used["#/components/"+section+"/"+name] {
				t.Errorf("nothing uses components/%s/%s", section, name)
			}
		}
	}
}
