package cli

// leadTalk is a conversation that makes a lead, and what the CRM has to hold after it.
type leadTalk struct {
	label string
	turns []string
	want  map[string]string // contact property → value
}

// leadTalks are the five conversations: languages, order and style differ, and nobody
// tells everything at once.
func leadTalks() []leadTalk {
	return []leadTalk{
		{"Ada, English, bit by bit", []string{
			"Hi! We run a co-working space with about 300 plants and I'd like a demo of the Grove plan.",
			"My name is Ada Byron and I work at Analytical Spaces Ltd",
			"You can reach me at ada.byron@analytical.example",
			"or by phone: +44 20 7946 0018"},
			contact("ada.byron@analytical.example", "Ada", "Byron", "+44 20 7946 0018", "Analytical Spaces Ltd")},
		{"Jonas, German, formal", []string{
			"Guten Tag, ich interessiere mich für Fernly für unsere Büros. Könnten Sie mir bitte ein Angebot machen?",
			"Mein Name ist Jonas Weber von der Firma Nordlicht GmbH.",
			"Meine E-Mail ist jonas.weber@nordlicht.example und meine Telefonnummer +49 30 901820"},
			contact("jonas.weber@nordlicht.example", "Jonas", "Weber", "+49 30 901820", "Nordlicht GmbH")},
		{"Lucía, Spanish, all at once", []string{
			"Hola, me llamo Lucía Fernández y trabajo en Banco Azul, me interesa una demo. lucia@bancoazul.example",
			"Mi teléfono es +34 600 123 456"},
			contact("lucia@bancoazul.example", "Lucía", "Fernández", "+34 600 123 456", "Banco Azul")},
		{"Sam, English, terse", []string{
			"hey, want to buy the Forest plan for 4 offices, who do I talk to?",
			"I'm Sam Porter from Brightwell Studios",
			"sam@brightwell.example, +1 415 555 0132"},
			contact("sam@brightwell.example", "Sam", "Porter", "+1 415 555 0132", "Brightwell Studios")},
		{"Camille, French", []string{
			"Bonjour, je m'appelle Camille Laurent et je voudrais une démo pour notre équipe.",
			"Je travaille chez Atelier Vert, mon e-mail est camille.laurent@ateliervert.example",
			"et mon numéro de téléphone : +33 1 70 18 99 00"},
			contact("camille.laurent@ateliervert.example", "Camille", "Laurent", "+33 1 70 18 99 00", "Atelier Vert")},
	}
}

func contact(email, first, last, phone, company string) map[string]string {
	return map[string]string{"email": email, "firstname": first, "lastname": last, "phone": phone, "company": company,
		"lifecyclestage": "lead"}
}

// helpTalk is a question that a person has to answer.
type helpTalk struct {
	label    string
	text     string
	reason   string // of the support request
	priority string // of the support request
}

func helpTalks() []helpTalk {
	return []helpTalk{
		{"Greenhouse blinds", "Can Fernly drive the blinds of our greenhouse over Modbus RTU?", "low_confidence", "normal"},
		{"Hub on a ship", "Would the hub survive on a ferry that crosses the North Sea in winter?", "low_confidence", "normal"},
		{"Sensors in aquariums", "Do you also make sensors for aquariums with salt water?", "low_confidence", "normal"},
		{"Charged twice", "I was charged twice for my subscription this month, why?", "billing", "high"},
		{"Invoice too high", "The amount on my last invoice looks wrong, it is 20 euros too high.", "billing", "high"},
	}
}
