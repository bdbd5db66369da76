module {aftershock: "tickets"};
# RavenStack's tickets with a class and a text that are DRAWN by a hash of the ticket's id. They are random by
# construction and mean nothing: they exercise the pipeline, and no analysis of them may find that attempts predict churn.

include "ticket_rows";

# Six tickets in ten are about something else.
def sentences:
  {
    price_reduction: [
      "We need to reopen our rate before the next invoice.",
      "Please give us a discount on the current contract.",
      "Can you lower the price that we pay for each seat?",
      "Finance asks us to renegotiate the price of our subscription."
    ],
    terms_change: [
      "We would like to change the payment terms from 30 to 60 days.",
      "Please remove the auto-renewal clause from our contract.",
      "Our legal team wants to amend the liability clause of the agreement."
    ],
    early_termination: [
      "What is our exit clause?",
      "We want to terminate the contract early.",
      "How can we cancel the agreement before the end of the term?"
    ],
    downgrade: [
      "We want to downgrade to a lower tier.",
      "Please reduce the number of seats on our plan.",
      "We need fewer seats from next month."
    ],
    sla_credit: [
      "We request a service credit under the SLA.",
      "Please issue an SLA credit for last month.",
      "We are entitled to a service credit."
    ],
    invoice_dispute: [
      "We dispute the last invoice.",
      "There is an unexpected charge on our invoice.",
      "We were overcharged on this month's bill."
    ],
    scope_demand: [
      "This should be included in our plan.",
      "We expected the reporting module to be included in the price.",
      "Single sign-on should be included without extra cost."
    ],
    competitor_benchmark: [
      "Another vendor offers the same and is cheaper.",
      "A competitor quoted us a lower price.",
      "We have an offer from another provider at half the price."
    ],
    contract_question: [
      "What does our contract say about the notice period?",
      "Which clause of the agreement covers price increases?",
      "Can you send us a copy of our contract?"
    ],
    reference_refused: [
      "We would rather not be a reference customer.",
      "We decline to take part in a case study.",
      "Please do not use our logo as a reference."
    ],
    none: [
      "The export to CSV hangs when the file is large.",
      "How do I add a colleague to my workspace?",
      "The dashboard shows yesterday's numbers.",
      "Thank you, the new search is a great help.",
      "Our single sign-on fails with error 502.",
      "Is there an API endpoint for bulk updates?"
    ]
  };

def draw($what): .ticket_id + "/" + $what | hash01;

def drawn_class:
  if draw("attempt") < 0.6 then "none"
  else (sentences | del(.none) | keys) as $classes | $classes[draw("class") * ($classes | length) | floor]
  end;

def drawn_text($class): sentences[$class] as $all | $all[draw("text") * ($all | length) | floor];

# Both events of a ticket draw the same text: the later one replaces the earlier.
ticket_events | drawn_class as $class | . + {subject: "Request \(.ticket_id)", body: drawn_text($class)}
