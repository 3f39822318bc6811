"""drawn"""
