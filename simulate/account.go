package simulate

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// account is who a client is. conflict is what its negotiations have in common.
type account struct {
	index    int
	segment  int
	currency string
	team     int
	conflict float64
	prospect bool // never becomes a client
	bare     bool // its source knows no contract_id: a contract goes by the deal that began it
	joined   time.Time
}

var segments = []string{"smb", "mid_market", "enterprise"}

const (
	teams         = 4
	driftingTeam  = 0 // grows harder over time, for rules that look for it
	peoplePerTeam = 3
)

// account draws who account index is. Accounts join over the first three quarters of the time, so that contracts grow old
// enough to be renewed or lost; those of higher index than Config.Accounts join after To at the same pace.
func (c *Config) account(index int) account {
	r := stream(c.Seed, streamAccount, index)
	step := float64(c.To.Sub(c.From)) * 0.75 / float64(c.Accounts)
	from, place := c.From, index
	if index >= c.Accounts {
		from, place = c.To, index-c.Accounts
	}
	return account{
		index:    index,
		segment:  weighted(r, 0.5, 0.35, 0.15),
		currency: []string{"USD", "EUR", "GBP"}[weighted(r, 0.6, 0.28, 0.12)],
		team:     r.IntN(teams),
		conflict: r.NormFloat64(),
		prospect: happens(r, 0.06),
		bare:     happens(r, 0.25),
		joined:   from.Add(time.Duration(step * (float64(place) + r.Float64())).Truncate(time.Millisecond)),
	}
}

// joinedBy is how many accounts have joined before the horizon, or may have.
func (c *Config) joinedBy(horizon time.Time) int {
	if !horizon.After(c.To) {
		return c.Accounts
	}
	pace := float64(c.Accounts) / (float64(c.To.Sub(c.From)) * 0.75)
	return c.Accounts + int(float64(horizon.Sub(c.To))*pace) + 1
}

func (a *account) id() string { return fmt.Sprintf("acc-%05d", a.index) }

func (a *account) dealID(n int) string { return fmt.Sprintf("D-%05d-%03d", a.index, n) }

func (a *account) ticketID(n int) string { return fmt.Sprintf("T-%05d-%04d", a.index, n) }

func (a *account) contractID(n int) string {
	if a.bare {
		return a.dealID(dealNumber(n/maxTerms, n%maxTerms, baseDeal))
	}
	return fmt.Sprintf("C-%05d-%d", a.index, n)
}

var (
	companyFirst = []string{
		"Alder", "Amber", "Argon", "Baltic", "Beacon", "Birch", "Blue Harbour", "Brennan", "Cardinal", "Castell", "Cedar", "Cobalt",
		"Copper", "Crane", "Delta", "Eastgate", "Eider", "Elm Street", "Fairway", "Falcon", "Fjord", "Granite", "Greenfield", "Halden",
		"Harbour", "Hazel", "Heron", "Highland", "Iris", "Juniper", "Kestrel", "Kingsway", "Lakeside", "Larch", "Lindner", "Linden",
		"Lumen", "Maple", "Marlow", "Meridian", "Midland", "Nordic", "Northgate", "Novak", "Oakridge", "Orchard", "Osprey", "Pinewood",
		"Quarry", "Raven", "Redstone", "Riverside", "Rowan", "Saffron", "Sandberg", "Sequoia", "Silverline", "Sommer", "Southbank",
		"Sterling", "Summit", "Tamarind", "Thornton", "Tidewater", "Upland", "Vantage", "Verde", "Walnut", "Westfield", "Willow", "Winter",
	}
	companySecond = []string{
		"Analytics", "Apparel", "Bakery Group", "Bank", "Biotech", "Brewing", "Capital", "Care", "Chemicals", "Clinics", "Components",
		"Construction", "Consulting", "Dental", "Diagnostics", "Education", "Electric", "Energy", "Engineering", "Estates", "Events",
		"Foods", "Freight", "Furniture", "Games", "Glass", "Health", "Hotels", "Insurance", "Interiors", "Labs", "Law", "Leisure",
		"Logistics", "Machinery", "Marine", "Media", "Metals", "Mobility", "Motors", "Optics", "Outdoor", "Packaging", "Partners",
		"Pharma", "Plastics", "Press", "Properties", "Rail", "Retail", "Robotics", "Security", "Shipping", "Solar", "Sports", "Steel",
		"Supply", "Systems", "Telecom", "Textiles", "Timber", "Toys", "Travel", "Water", "Wines",
	}
	companyForm = map[string][]string{"EUR": {"GmbH", "AG", "S.A.", "B.V.", "SpA", "SAS"}, "USD": {"Inc.", "LLC", "Corp."}, "GBP": {"Ltd", "plc"}}
	givenNames  = []string{
		"Adaeze", "Ahmed", "Aisha", "Alice", "Anders", "Anna", "Ben", "Bianca", "Camille", "Carlos", "Chloe", "Daniel", "Dana", "Elena",
		"Emil", "Emma", "Farah", "Felix", "Fiona", "Georg", "Grace", "Hannah", "Hugo", "Ines", "Ivan", "Jana", "Jonas", "Julia", "Kofi",
		"Lara", "Leo", "Lukas", "Maria", "Marta", "Mei", "Mohan", "Nadia", "Nils", "Nora", "Olga", "Omar", "Oscar", "Paula", "Pedro",
		"Priya", "Quentin", "Rachel", "Rania", "Ravi", "Rosa", "Samuel", "Sara", "Sofia", "Stefan", "Tara", "Theo", "Tom", "Ursula", "Vera", "Yusuf",
	}
	familyNames = []string{
		"Abbott", "Almeida", "Andersen", "Baker", "Bauer", "Becker", "Bianchi", "Brooks", "Carter", "Chen", "Costa", "Cruz", "Dubois",
		"Eriksen", "Evans", "Fischer", "Fontaine", "Garcia", "Gruber", "Haddad", "Hansen", "Hughes", "Ito", "Jansen", "Kaya", "Keller",
		"Khan", "Kowalski", "Laurent", "Lopez", "Maier", "Marino", "Martin", "Mensah", "Moreau", "Nguyen", "Novak", "Okafor", "Olsen",
		"Patel", "Pereira", "Petrov", "Quinn", "Reid", "Romero", "Rossi", "Santos", "Schmidt", "Silva", "Singh", "Stone", "Suarez",
		"Turner", "Varga", "Vogel", "Walsh", "Weber", "Wilson", "Wright", "Young",
	}
	accountExecutives = []string{
		"Mira Lindqvist", "Paul Degen", "Tobias Kern", "Clara Munoz", "Jack Farrell", "Leila Aziz", "Erik Strand", "Judith Roth",
		"Sam Whitaker", "Noemi Sala", "Gareth Pryce", "Yuki Arai",
	}
	accountManagers = []string{
		"Helen Booth", "Marc Olivier", "Petra Jovanovic", "Dev Malhotra", "Lucy Tan", "Stefano Greco", "Ruth Adler", "Owen Blake",
		"Ana Ribeiro", "Karl Benson", "Zoe Martel", "Ibrahim Sow",
	}
	teamNames = []string{"North", "South", "Enterprise", "Growth"}
)

// name is the account's company. The index gives it, so that no two among the first few thousand are the same.
func (a *account) name() string {
	n := len(companyFirst) * len(companySecond)
	at := int(uint(a.index) * 2707 % uint(n)) // 2707 has no divisor in common with the number of pairs
	forms := companyForm[a.currency]
	name := companyFirst[at%len(companyFirst)] + " " + companySecond[at/len(companyFirst)] + " " + forms[a.index/n%len(forms)]
	if round := a.index / n / len(forms); round > 0 {
		return fmt.Sprintf("%s %d", name, round+1)
	}
	return name
}

func (a *account) executive() string {
	return accountExecutives[a.team*peoplePerTeam+a.index%peoplePerTeam]
}

func (a *account) accountManager() string {
	return accountManagers[a.team*peoplePerTeam+a.index/peoplePerTeam%peoplePerTeam]
}

func person(r *rand.Rand) string { return pick(r, givenNames) + " " + pick(r, familyNames) }
