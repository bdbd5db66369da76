// Package churn is the ground that every other part of Aftershock stands on: the facts (DealClosed, SupportTicket),
// how they are read from JSON and refused, how hard a deal was negotiated, which tickets are renegotiation attempts,
// which contract an attempt reopens, and what makes two alerts the same alert.
//
// Everything here is a pure function of its arguments: no clock, no network, no database. It imports the standard
// library and one decimal type, and nothing of Aftershock.
package churn
