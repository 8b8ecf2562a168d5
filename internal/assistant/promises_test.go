package assistant

import "testing"

// promising are sentences that promise a person, a follow-up or a ticket.
func promising() []string {
	return []string{
		"Someone will contact you shortly.",
		"We'll get back to you within 24 hours.",
		"I've created a ticket for you.",
		"I have created a support ticket.",
		"Thanks! Our team will reach out to you tomorrow.",
		"An agent will be with you soon.",
		"A colleague is going to call you.",
		"You will hear from us by Friday.",
		"You'll receive a reply by email.",
		"You will be contacted by our sales team.",
		"I have forwarded your message to the billing team.",
		"I've escalated this to a human.",
		"Your ticket has been created.",
		"Your request was forwarded to support.",
		"Let me connect you with a person.",
		"I'm transferring you to an agent now.",
		"I'll pass this on to the team.",
		"I will notify the team.",
		"The answer is 42. Someone from our team will follow up.",
		"I've gone ahead and opened a case.",
		"We will be in touch!",
		"If you leave your number, we will call you back.",
		"Alguien te contactará pronto.",
		"Nos pondremos en contacto contigo.",
		"He creado un ticket para ti.",
		"Un agente le responderá mañana.",
		"Alguém entrará em contato com você.",
		"Entraremos em contato em breve.",
		"Criei um chamado para você.",
		"Vou encaminhar sua mensagem para a equipe.",
		"Jemand wird sich bei Ihnen melden.",
		"Wir melden uns bei Ihnen.",
		"Ich habe ein Ticket erstellt.",
		"Ein Mitarbeiter wird Sie kontaktieren.",
		"Quelqu'un vous contactera bientôt.",
		"Nous vous recontacterons.",
		"J'ai créé un ticket pour vous.",
		"Un conseiller va vous rappeler.",
	}
}

// harmless are sentences near to those that promise nothing.
func harmless() []string {
	return []string{
		"",
		"You can reach us at help@acme.test.",
		"Would you like me to create a ticket?",
		"Shall I ask someone to contact you?",
		"Nobody will contact you about this.",
		"I can't promise that someone will contact you.",
		"The pro plan costs 49 USD a month.",
		"To contact support, open the settings page.",
		"I don't want to guess. The note below shows what happens with your question.",
		"Refunds are paid back within 5 days.",
		"The widget sends messages to your team.",
		"Support is available Monday to Friday.",
		"The team plan has room for 20 people.",
		"You need to contact your bank.",
		"Click here and the page will load.",
		"Your subscription will renew on the first of the month.",
		"You can create a ticket in the dashboard.",
		"No puedo prometer que alguien te contactará.",
		"¿Quieres que alguien te contacte?",
		"Puedes escribir a ayuda@acme.test.",
		"Der Pro-Tarif kostet 49 Euro.",
		"Soll sich jemand bei Ihnen melden?",
		"Le forfait coûte 49 euros par mois.",
		"Você pode cancelar nas configurações.",
	}
}

func TestPromises(t *testing.T) {
	t.Parallel()
	for _, s := range promising() {
		if !Promises(s) {
			t.Errorf("no promise seen in %q", s)
		}
	}
	for _, s := range harmless() {
		if Promises(s) {
			t.Errorf("a promise seen in %q", s)
		}
	}
}

// TestPhrasesPromiseNothing: "Nothing is promised before it is committed."
func TestPhrasesPromiseNothing(t *testing.T) {
	t.Parallel()
	for _, lang := range append(languages(), "xx") {
		for s, text := range phrases(lang) {
			if text == "" {
				t.Errorf("%s: text %d is missing", lang, s)
			}
			if Promises(phrase(lang, say(s), "Ana")) {
				t.Errorf("%s: %q promises something", lang, text)
			}
		}
	}
}
