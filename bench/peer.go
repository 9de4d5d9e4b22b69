package main

var peers []gateway
