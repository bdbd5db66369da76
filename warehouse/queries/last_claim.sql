SELECT epoch, claimant, writer FROM upkeep_claims ORDER BY epoch DESC LIMIT 1
