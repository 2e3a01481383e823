# SPDX-License-Identifier: Apache-2.0
#
# options.awk - put the options, counters and status keys of tables.h into a page.
# usage: awk -v version=V -f options.awk TABLES PAGE.in
#
# In the page: @VERSION@, and lines @RUN_OPTIONS@ (flags), @VARIABLES@, @FIELDS@ (of struct
# profiler_options), @COUNTERS@, @STATUS@.

function unquote(s) {
	gsub(/"[ \t]+"/, "", s)		# strings that the compiler would join
	gsub(/^[ \t]*"?|"?[ \t]*$/, "", s)
	return s
}

function escape(s) {
	gsub(/\\/, "\\e", s)
	gsub(/^\./, "\\\\\\&.", s)
	gsub(/-/, "\\-", s)
	return s
}

# mdoc wants each sentence on a line of its own
function sentences(s) {
	s = escape(s)
	gsub(/\.  +/, ".\n", s)
	return s
}

function range(n) {
	if (type[n] == "NUMBER")
		return "From " least[n] " to " most[n] "."
	if (type[n] == "PERCENT")
		return "From " least[n] / 10000 " to " most[n] / 10000 ", or off."
	if (type[n] == "SIZE")
		return "From " least[n] / 1048576 " MiB to " most[n] / 1048576 " MiB; bytes, or with KiB, MiB, GiB."
	if (type[n] == "DURATION")
		return "From " least[n] / 1000000000 " to " most[n] / 1000000000 " seconds; with us, ms, s, m or h."
	return ""
}

function body(n) {
	print sentences(toupper(substr(help[n], 1, 1)) substr(help[n], 2)) "."
	print sentences(more[n])
	if (range(n) != "")
		print range(n)
	if (def[n] != "")
		print "The default is\n.Ql " escape(def[n]) " ."
}

FNR == NR {
	table = table " " $0
	next
}

FNR == 1 {
	nrecords = split(table, record, "@end")
	for (i = 1; i <= nrecords; i++) {
		nf = split(record[i], f, "@")
		if (f[2] ~ /^option /) {
			n++
			sub(/^option /, "", f[2])
			var[n] = unquote(f[2]); flag[n] = unquote(f[3]); chr[n] = f[4]; type[n] = unquote(f[5])
			def[n] = unquote(f[6]); least[n] = f[7] + 0; most[n] = f[8] + 0
			arg[n] = unquote(f[10]); help[n] = unquote(f[11]); more[n] = unquote(f[12]); field[n] = unquote(f[13])
			gsub(/[ \t']/, "", chr[n])
		} else if (f[2] ~ /^counter /) {
			c++
			sub(/^counter /, "", f[2])
			counter[c] = unquote(f[2]); what[c] = unquote(f[3])
		} else if (f[2] ~ /^status /) {
			k++
			sub(/^status /, "", f[2])
			key[k] = unquote(f[2]); meaning[k] = unquote(f[3])
		}
	}
	if (n == 0 || c == 0 || k == 0) {
		print "options.awk: no tables were read" > "/dev/stderr"
		exit 1
	}
}

/^@RUN_OPTIONS@$/ {
	for (i = 1; i <= n; i++) {
		if (flag[i] == "")
			continue
		printf ".It "
		if (chr[i] != "0")
			printf "Fl %s , ", chr[i]
		printf "Fl Fl %s Ar %s\n", flag[i], arg[i]
		body(i)
	}
	next
}

/^@VARIABLES@$/ {
	for (i = 1; i <= n; i++) {
		print ".It Ev " var[i]
		print "Values:\n.Ar " arg[i] " ."
		body(i)
	}
	next
}

/^@FIELDS@$/ {
	for (i = 1; i <= n; i++) {
		ctype = "const char *"
		about = def[i] == "" ? "" : "NULL is\n.Ql " escape(def[i]) " ."
		if (type[i] == "NUMBER") {
			ctype = "unsigned "
			about = range(i) "\n0 is " def[i] "."
		} else if (type[i] == "SIZE") {
			ctype = "unsigned long long "
			about = "In bytes, from " least[i] / 1048576 " MiB to " most[i] / 1048576 " MiB.\n0 is " def[i] "."
		} else if (type[i] == "SIGNAL") {
			ctype = "int "
			about = "0 is " def[i] "."
		} else if (type[i] == "DURATION" || type[i] == "PERCENT") {
			about = range(i) "\n" about
		}
		print ".It Fa \"" ctype field[i] "\" Pq Ev " var[i]
		print escape(toupper(substr(help[i], 1, 1)) substr(help[i], 2)) "."
		if (about != "")
			print about
	}
	next
}

/^@COUNTERS@$/ {
	for (i = 1; i <= c; i++)
		print ".It " counter[i] "\n" escape(toupper(substr(what[i], 1, 1)) substr(what[i], 2)) "."
	next
}

/^@STATUS@$/ {
	for (i = 1; i <= k; i++)
		print ".It " key[i] "\n" escape(toupper(substr(meaning[i], 1, 1)) substr(meaning[i], 2)) "."
	next
}

{
	gsub(/@VERSION@/, version)
	print
}
