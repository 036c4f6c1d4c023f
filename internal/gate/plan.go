package gate

// AccessRule lets members of groups call APIs. A user has the union of all rules of all groups that he is in.
type AccessRule struct {
	Origin Origin `yaml:"-"`
	// Name decides between rules of equal weight: the first in alphabetical order wins.
	Name string `yaml:"name" required:"true"`
	// Groups are the groups to which the rule applies.
	Groups []string `yaml:"groups"`
	// Everyone applies the rule to every verified identity, instead of to groups.
	Everyone bool `yaml:"everyone"`
	// APIs are the APIs, by name; "*" for all.
	APIs []string `yaml:"apis" required:"true"`
	// Operations are names of operation sets of the APIs. Not set: all requests; set and empty: none.
	Operations *[]string `yaml:"operations"`
	// Plan limits the requests that this rule lets through. Empty: no limit.
	Plan string `yaml:"plan"`
	// Weight decides which rule's plan counts when several let a request through: the highest.
	Weight int `yaml:"weight"`
}

// Plan is a rate and a quota under a name.
type Plan struct {
	Origin Origin `yaml:"-"`
	// Name is how access rules and subscriptions refer to the plan.
	Name string `yaml:"name" required:"true"`
	// Title is the plan's name for people.
	Title string `yaml:"title"`
	// Rate is the plan's limit for a short time.
	Rate *Rate `yaml:"rate"`
	// Quota is the plan's limit for a long time. Who gets another plan goes on with what he has used.
	Quota *Quota `yaml:"quota"`
	// Bucket says what shares one counter: subscription (all applications of the subscription; with access rules, the user), application (each by itself; with access rules, the user if the token names none), or
	// application-api (each application at each API).
	Bucket string `yaml:"bucket"`
}

// SetDefaults fills in what a configuration leaves out.
func (p *Plan) SetDefaults() { p.Bucket = BucketSubscription }

// What shares the counters of a plan.
const (
	BucketSubscription   = "subscription"
	BucketApplication    = "application"
	BucketApplicationAPI = "application-api"
)

// GroupRate is a rate for members of groups at APIs, whatever lets them in. Of several rules for one group and one API the most restrictive counts; of several
// groups of a user, the least restrictive. A rule that names a group replaces, for it, the rules for everyone.
type GroupRate struct {
	Origin Origin `yaml:"-"`
	// Name is the limit's name.
	Name string `yaml:"name" required:"true"`
	// Groups are the groups to which the rate applies.
	Groups []string `yaml:"groups"`
	// Everyone applies the rate to every identity, instead of to groups.
	Everyone bool `yaml:"everyone"`
	// APIs are the APIs, by name; "*" for all.
	APIs []string `yaml:"apis" required:"true"`
	// Rate is the limit of each user at each API.
	Rate Rate `yaml:"rate" required:"true"`
}

// Application is a program that calls APIs.
type Application struct {
	Origin Origin `yaml:"-"`
	// Name is how subscriptions refer to the application.
	Name string `yaml:"name" required:"true"`
	// ID is the value of the provider's application claim in the application's tokens.
	ID string `yaml:"id" required:"true"`
	// Owner is the user whose application it is.
	Owner string `yaml:"owner"`
}

// Subscription lets applications call APIs under a plan.
type Subscription struct {
	Origin Origin `yaml:"-"`
	// Name decides between subscriptions of equal weight: the first in alphabetical order wins.
	Name string `yaml:"name" required:"true"`
	// Applications are the applications, by name.
	Applications []string `yaml:"applications" required:"true"`
	// APIs are the APIs, by name; "*" for all.
	APIs []string `yaml:"apis" required:"true"`
	// Operations are names of operation sets of the APIs. Not set: all requests; set and empty: none.
	Operations *[]string `yaml:"operations"`
	// Claims is an expression over the token's claims that must be true for the subscription to count.
	Claims string `yaml:"claims"`
	// Plan limits the requests that this subscription lets through.
	Plan string `yaml:"plan"`
	// Weight decides which subscription counts when several let a request through: the highest.
	Weight int `yaml:"weight"`
}
