# Reads webhooks as JSON lines, {"secret", "headers", "body"}, and verifies each with the specification's own library.
# Writes the body of each, read back, as a line; a line that does not verify ends the program.
import json
import sys

from standardwebhooks.webhooks import Webhook

for line in sys.stdin:
    sent = json.loads(line)
    event = Webhook(sent["secret"]).verify(sent["body"], sent["headers"])
    print(json.dumps(event))
