# frob
{deal_id: frob(.id)}
