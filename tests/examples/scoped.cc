// SPDX-License-Identifier: Apache-2.0
//
// scoped.cc - profile one part of a C++ program: from where an object begins to where it ends.
//
//	c++ -O2 -g scoped.cc $(pkg-config --cflags --libs sonde) -o scoped
//	./scoped cpu.pb.gz

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string>
#include <system_error>
#include <vector>

#include <sonde/profiler.h>

class Profile {
public:
	// The file is written when the object ends; an error is thrown here, before there is anything to lose.
	explicit Profile(const std::string &file)
	{
		profiler_options options = profiler_options();	// all zero: all defaults
		options.size = sizeof(options);
		options.file = file.c_str();			// copied
		int err = profiler_start(&options);
		// Under sonde run it is profiled already, and the file is not ours to name.
		if (err < 0 && err != -EALREADY)
			throw std::system_error(-err, std::generic_category(), "profiler_start");
	}

	~Profile()
	{
		int err = profiler_stop();
		if (err < 0)
			std::fprintf(stderr, "profiler_stop: %s\n", std::generic_category().message(-err).c_str());
	}

	Profile(const Profile &) = delete;
	Profile &operator=(const Profile &) = delete;
};

namespace work {

std::vector<std::string> shuffled(unsigned n)
{
	std::vector<std::string> words;
	unsigned x = 1;

	for (unsigned i = 0; i < n; i++) {
		x = x * 1664525u + 1013904223u;
		words.push_back(std::to_string(x));
	}
	return words;
}

bool sort_words()
{
	std::vector<std::string> words = shuffled(400000);

	std::sort(words.begin(), words.end());
	return std::is_sorted(words.begin(), words.end());
}

} // namespace work

int main(int argc, char **argv)
{
	bool good = argc == 2;

	try {
		Profile profile(good ? argv[1] : "scoped.pb.gz");

		for (int i = 0; i < 3; i++)
			good = work::sort_words() && good;
	} catch (const std::exception &e) {
		std::fprintf(stderr, "%s\n", e.what());
		return 1;
	}
	return good ? 0 : 1;	// the file is there now
}
