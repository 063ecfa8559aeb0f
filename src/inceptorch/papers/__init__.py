"""The papers' tables and claims, evaluated against our networks, and studies that put claims to the test."""
