package webhook

// vectorSecret is the published secret of the Standard Webhooks libraries' tests.
const vectorSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
