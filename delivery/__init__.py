"""Delivery, optional: triggers to e-mail and webhooks, for companies without a campaign system.

Read delivery/courier.py first: what happens to one trigger. The decisions are pure: plan (now, later or never),
permission (consent), answers (what a server's answer means), bursts, and what an e-mail and a webhook consist of.
Adapters reach PostgreSQL, Kafka, SMTP and HTTP; delivery/services.py chooses them. The console alone imports it.
"""
