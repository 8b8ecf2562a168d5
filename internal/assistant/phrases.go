package assistant

import (
	"strings"

	"bellhop"
)

// say names a text of the offline assistant.
type say int

const (
	sayHello say = iota
	sayWelcome
	sayBye
	sayFine
	sayScope
	sayAbout
	sayRephrase
	sayDeclined
	sayAskEmail
	sayAskEmailNamed
	sayAskName
	sayLead
	sayLeadNamed
	sayNoted
	sayBilling
	saySupport
	sayHuman
	sayUnsure
	sayNothingFound
	sayOwn
	sayOwnNone
	sayNextStep
	saySource
	sayThisProduct
	sayCount
)

// phrases holds the texts of one language, {} stands for a name. None of them says
// that something was done or that anybody will do something: only the API knows what
// was committed, and shows it in the note below the text.
func phrases(language string) [sayCount]string {
	switch language {
	case "es":
		return phrasesES()
	case "pt":
		return phrasesPT()
	case "de":
		return phrasesDE()
	case "fr":
		return phrasesFR()
	default:
		return phrasesEN()
	}
}

func phrasesEN() [sayCount]string {
	return [sayCount]string{
		sayHello:         "Hello! How can I help you?",
		sayWelcome:       "You're welcome! Is there anything else?",
		sayBye:           "Goodbye, and have a good day!",
		sayFine:          "All right. Is there anything else you would like to know?",
		sayScope:         "I can only help with {}. What would you like to know about that?",
		sayAbout:         "I'm the automatic assistant for {}. I answer from its help pages and note what you are looking for.",
		sayRephrase:      "Sorry, I didn't understand that. Could you say it in a few more words?",
		sayDeclined:      "That's fine, you don't have to. Is there anything else you would like to know?",
		sayAskEmail:      "Happy to help with that. What is your e-mail address?",
		sayAskEmailNamed: "Nice to meet you, {}. What is your e-mail address?",
		sayAskName:       "Thank you. And what is your name?",
		sayLead:          "Thanks. I have your details; the note below shows what happens with them.",
		sayLeadNamed:     "Thanks, {}. I have your details; the note below shows what happens with them.",
		sayNoted:         "Thanks, I know that now. Is there anything you would like to add?",
		sayBilling:       "This is about money, so I don't want to guess. The note below shows what happens with your question.",
		saySupport:       "I'm sorry about the trouble. I can't settle this from here; the note below shows what happens with it.",
		sayHuman:         "I understand, you would rather speak with a person. The note below shows what happens with your wish.",
		sayUnsure:        "I'm not sure that I understand this correctly, and I don't want to guess. The note below shows what happens with it.",
		sayNothingFound:  "I found nothing about this in what I know, and I don't want to guess. The note below shows what happens with your question.",
		sayOwn:           "This is where your requests stand:",
		sayOwnNone:       "I can't see any request of yours here. The note below shows what happens with your question.",
		sayNextStep:      "Next step:",
		saySource:        "Source:",
		sayThisProduct:   "this product",
	}
}

func phrasesES() [sayCount]string {
	return [sayCount]string{
		sayHello:         "¡Hola! ¿En qué puedo ayudarte?",
		sayWelcome:       "¡De nada! ¿Hay algo más?",
		sayBye:           "¡Hasta luego, que tengas un buen día!",
		sayFine:          "De acuerdo. ¿Hay algo más que quieras saber?",
		sayScope:         "Solo puedo ayudar con {}. ¿Qué te gustaría saber sobre eso?",
		sayAbout:         "Soy el asistente automático de {}. Respondo con sus páginas de ayuda y anoto lo que buscas.",
		sayRephrase:      "Perdona, no lo he entendido. ¿Puedes decirlo con otras palabras?",
		sayDeclined:      "No pasa nada, no es necesario. ¿Hay algo más que quieras saber?",
		sayAskEmail:      "Con gusto. ¿Cuál es tu correo electrónico?",
		sayAskEmailNamed: "Mucho gusto, {}. ¿Cuál es tu correo electrónico?",
		sayAskName:       "Gracias. ¿Y cuál es tu nombre?",
		sayLead:          "Gracias. Tengo tus datos; la nota de abajo muestra qué pasa con ellos.",
		sayLeadNamed:     "Gracias, {}. Tengo tus datos; la nota de abajo muestra qué pasa con ellos.",
		sayNoted:         "Gracias, ahora lo sé. ¿Quieres añadir algo?",
		sayBilling:       "Se trata de dinero y no quiero adivinar. La nota de abajo muestra qué pasa con tu consulta.",
		saySupport:       "Siento las molestias. No puedo resolverlo desde aquí; la nota de abajo muestra qué pasa con ello.",
		sayHuman:         "Entiendo, prefieres hablar con una persona. La nota de abajo muestra qué pasa con tu petición.",
		sayUnsure:        "No estoy seguro de haberlo entendido bien y no quiero adivinar. La nota de abajo muestra qué pasa con ello.",
		sayNothingFound:  "No encontré nada sobre esto en lo que sé y no quiero adivinar. La nota de abajo muestra qué pasa con tu pregunta.",
		sayOwn:           "Así están tus solicitudes:",
		sayOwnNone:       "No veo ninguna solicitud tuya aquí. La nota de abajo muestra qué pasa con tu pregunta.",
		sayNextStep:      "Siguiente paso:",
		saySource:        "Fuente:",
		sayThisProduct:   "este producto",
	}
}

func phrasesPT() [sayCount]string {
	return [sayCount]string{
		sayHello:         "Olá! Como posso ajudar?",
		sayWelcome:       "De nada! Mais alguma coisa?",
		sayBye:           "Até logo, tenha um bom dia!",
		sayFine:          "Certo. Quer saber mais alguma coisa?",
		sayScope:         "Só posso ajudar com {}. O que gostaria de saber sobre isso?",
		sayAbout:         "Sou o assistente automático de {}. Respondo com as páginas de ajuda e anoto o que você procura.",
		sayRephrase:      "Desculpe, não entendi. Pode dizer com outras palavras?",
		sayDeclined:      "Tudo bem, não é necessário. Quer saber mais alguma coisa?",
		sayAskEmail:      "Com prazer. Qual é o seu e-mail?",
		sayAskEmailNamed: "Prazer, {}. Qual é o seu e-mail?",
		sayAskName:       "Obrigado. E qual é o seu nome?",
		sayLead:          "Obrigado. Tenho os seus dados; a nota abaixo mostra o que acontece com eles.",
		sayLeadNamed:     "Obrigado, {}. Tenho os seus dados; a nota abaixo mostra o que acontece com eles.",
		sayNoted:         "Obrigado, agora eu sei. Quer acrescentar algo?",
		sayBilling:       "Isto envolve dinheiro e não quero adivinhar. A nota abaixo mostra o que acontece com a sua pergunta.",
		saySupport:       "Lamento o transtorno. Não consigo resolver isto daqui; a nota abaixo mostra o que acontece com ele.",
		sayHuman:         "Entendo, você prefere falar com uma pessoa. A nota abaixo mostra o que acontece com o seu pedido.",
		sayUnsure:        "Não tenho certeza de ter entendido bem e não quero adivinhar. A nota abaixo mostra o que acontece com isso.",
		sayNothingFound:  "Não encontrei nada sobre isso no que sei e não quero adivinhar. A nota abaixo mostra o que acontece com a sua pergunta.",
		sayOwn:           "É assim que estão os seus pedidos:",
		sayOwnNone:       "Não vejo nenhum pedido seu aqui. A nota abaixo mostra o que acontece com a sua pergunta.",
		sayNextStep:      "Próximo passo:",
		saySource:        "Fonte:",
		sayThisProduct:   "este produto",
	}
}

func phrasesDE() [sayCount]string {
	return [sayCount]string{
		sayHello:         "Hallo! Wie kann ich helfen?",
		sayWelcome:       "Gern geschehen! Gibt es noch etwas?",
		sayBye:           "Auf Wiedersehen und einen schönen Tag!",
		sayFine:          "In Ordnung. Möchten Sie noch etwas wissen?",
		sayScope:         "Ich kann nur bei Fragen zu {} helfen. Was möchten Sie dazu wissen?",
		sayAbout:         "Ich bin der automatische Assistent für {}. Ich antworte aus den Hilfeseiten und notiere, was Sie suchen.",
		sayRephrase:      "Das habe ich leider nicht verstanden. Können Sie es mit anderen Worten sagen?",
		sayDeclined:      "Kein Problem, das müssen Sie nicht. Möchten Sie noch etwas wissen?",
		sayAskEmail:      "Gern. Wie lautet Ihre E-Mail-Adresse?",
		sayAskEmailNamed: "Freut mich, {}. Wie lautet Ihre E-Mail-Adresse?",
		sayAskName:       "Danke. Und wie ist Ihr Name?",
		sayLead:          "Danke. Ich habe Ihre Angaben; der Hinweis unten zeigt, was damit geschieht.",
		sayLeadNamed:     "Danke, {}. Ich habe Ihre Angaben; der Hinweis unten zeigt, was damit geschieht.",
		sayNoted:         "Danke, das weiß ich jetzt. Möchten Sie etwas hinzufügen?",
		sayBilling:       "Hier geht es um Geld, deshalb möchte ich nicht raten. Der Hinweis unten zeigt, was mit Ihrer Frage geschieht.",
		saySupport:       "Das tut mir leid. Von hier aus kann ich es nicht lösen; der Hinweis unten zeigt, was damit geschieht.",
		sayHuman:         "Ich verstehe, Sie möchten lieber mit einem Menschen sprechen. Der Hinweis unten zeigt, was mit Ihrem Wunsch geschieht.",
		sayUnsure:        "Ich bin nicht sicher, ob ich das richtig verstehe, und möchte nicht raten. Der Hinweis unten zeigt, was damit geschieht.",
		sayNothingFound:  "Dazu habe ich nichts gefunden und möchte nicht raten. Der Hinweis unten zeigt, was mit Ihrer Frage geschieht.",
		sayOwn:           "So steht es um Ihre Anfragen:",
		sayOwnNone:       "Ich sehe hier keine Anfrage von Ihnen. Der Hinweis unten zeigt, was mit Ihrer Frage geschieht.",
		sayNextStep:      "Nächster Schritt:",
		saySource:        "Quelle:",
		sayThisProduct:   "diesem Produkt",
	}
}

func phrasesFR() [sayCount]string {
	return [sayCount]string{
		sayHello:         "Bonjour ! Comment puis-je vous aider ?",
		sayWelcome:       "Avec plaisir ! Y a-t-il autre chose ?",
		sayBye:           "Au revoir et bonne journée !",
		sayFine:          "D'accord. Souhaitez-vous savoir autre chose ?",
		sayScope:         "Je ne peux aider que pour {}. Que souhaitez-vous savoir à ce sujet ?",
		sayAbout:         "Je suis l'assistant automatique pour {}. Je réponds avec les pages d'aide et je note ce que vous cherchez.",
		sayRephrase:      "Désolé, je n'ai pas compris. Pouvez-vous le dire autrement ?",
		sayDeclined:      "Pas de souci, ce n'est pas obligatoire. Souhaitez-vous savoir autre chose ?",
		sayAskEmail:      "Avec plaisir. Quelle est votre adresse e-mail ?",
		sayAskEmailNamed: "Enchanté, {}. Quelle est votre adresse e-mail ?",
		sayAskName:       "Merci. Et quel est votre nom ?",
		sayLead:          "Merci. J'ai vos coordonnées ; la note ci-dessous montre ce qu'elles deviennent.",
		sayLeadNamed:     "Merci, {}. J'ai vos coordonnées ; la note ci-dessous montre ce qu'elles deviennent.",
		sayNoted:         "Merci, je le sais maintenant. Voulez-vous ajouter quelque chose ?",
		sayBilling:       "Il s'agit d'argent et je ne veux pas deviner. La note ci-dessous montre ce que devient votre question.",
		saySupport:       "Désolé pour ce souci. Je ne peux pas le régler d'ici ; la note ci-dessous montre ce qu'il devient.",
		sayHuman:         "Je comprends, vous préférez parler à une personne. La note ci-dessous montre ce que devient votre souhait.",
		sayUnsure:        "Je ne suis pas sûr de bien comprendre et je ne veux pas deviner. La note ci-dessous montre ce que devient votre message.",
		sayNothingFound:  "Je n'ai rien trouvé à ce sujet et je ne veux pas deviner. La note ci-dessous montre ce que devient votre question.",
		sayOwn:           "Voici où en sont vos demandes :",
		sayOwnNone:       "Je ne vois aucune demande de votre part ici. La note ci-dessous montre ce que devient votre question.",
		sayNextStep:      "Étape suivante :",
		saySource:        "Source :",
		sayThisProduct:   "ce produit",
	}
}

// phrase returns a text in a language with name for {}.
func phrase(language string, s say, name string) string {
	return strings.ReplaceAll(phrases(language)[s], "{}", name)
}

// requestWords returns the words for a kind of request and its state.
func requestWords(language string, r bellhop.Request) (kind, state string) {
	kinds := map[string][3]string{
		"en": {"Your details", "Your support request", "Your payment"},
		"es": {"Tus datos", "Tu solicitud de ayuda", "Tu pago"},
		"pt": {"Os seus dados", "O seu pedido de ajuda", "O seu pagamento"},
		"de": {"Ihre Angaben", "Ihre Support-Anfrage", "Ihre Zahlung"},
		"fr": {"Vos coordonnées", "Votre demande d'aide", "Votre paiement"},
	}
	states := map[string][4]string{
		"en": {"something is still missing", "stored here, not yet passed on", "done", "with a person"},
		"es": {"todavía falta algo", "guardado aquí, aún sin transmitir", "hecho", "en manos de una persona"},
		"pt": {"ainda falta algo", "guardado aqui, ainda não transmitido", "concluído", "com uma pessoa"},
		"de": {"es fehlt noch etwas", "hier gespeichert, noch nicht weitergegeben", "erledigt", "bei einem Menschen"},
		"fr": {"il manque encore quelque chose", "enregistré ici, pas encore transmis", "terminé", "auprès d'une personne"},
	}
	k, ok := kinds[language]
	if !ok {
		k, language = kinds["en"], "en"
	}
	if i := indexOf([]bellhop.RequestKind{bellhop.RequestLead, bellhop.RequestSupport, bellhop.RequestPayment}, r.Kind); i >= 0 {
		kind = k[i]
	}
	if i := indexOf(bellhop.RequestStates(), r.State); i >= 0 {
		state = states[language][i]
	}
	return kind, state
}
