module {aftershock: "deals", tables: {accounts: "accounts.csv"}};
# RavenStack's subscriptions with negotiation facts that are DRAWN by a hash of the subscription's id. They are random by
# construction and mean nothing: they exercise the pipeline, and no analysis of them may find that hardness predicts
# churn. Never use this mapping for anything else.

include "subscriptions";

# One draw for each thing that is drawn, so that they are independent of one another.
def draw($what): .deal_id + "/" + $what | hash01;
def pick($what; $most): draw($what) * ($most + 1) | floor;

def negotiation:
  (.signed_price | tonumber) as $price
  | (.closed_at | fromdate) as $closed
  | {
      opened_at: ($closed - 86400 * (5 + pick("days"; 115)) | todate),
      rounds: (1 + pick("rounds"; 9)),
      ultimatums: pick("ultimatums"; 2),
      escalations: pick("escalations"; 2),
      deadline_pressure: (draw("deadline") < 0.3),
      tone: ((draw("tone") * 200 | floor) / 100 - 1),
      client_concessions: [
        range(pick("client"; 3)) as $i
        | {term: ["longer term", "fewer seats", "prepayment"][$i], value: ($price * draw("client value \($i)") / 10 | floor)}
      ],
      vendor_concessions: [
        range(pick("vendor"; 3)) as $i
        | {term: ["onboarding", "discount", "later payment"][$i], value: ($price * draw("vendor value \($i)") / 10 | floor)}
      ],
      unresolved_requests: ["single sign-on", "a dedicated contact", "a price cap"][:pick("unresolved"; 3)],
      common_ground: ["a joint plan", "shared success criteria"][:pick("common"; 2)]
    };

subscription_events
| if .outcome == "won" then
    # What the client expected to pay: from a quarter below the price to a tenth above it.
    . + {anticipated_price: ((.signed_price | tonumber) * (0.75 + 0.35 * draw("anticipated")) | floor), negotiation: negotiation}
  else .
  end
