// SPDX-License-Identifier: Apache-2.0
//
// cxx.cc - C++: exceptions through many frames with destructors, rethrown, out of a callback of libc; virtual calls,
// containers, sorting, a regular expression.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <regex>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

volatile unsigned long sink;

struct Guard {
	std::string name;
	explicit Guard(int n) : name("guard number " + std::to_string(n)) {}
	~Guard() { sink += name.size(); }
};

__attribute__((noinline)) int
fall(int n)
{
	Guard g(n);

	if (n == 0)
		throw std::runtime_error("bottom");
	return fall(n - 1) + static_cast<int>(g.name.size());
}

__attribute__((noinline)) int
catch_and_throw(int n)
{
	try {
		return fall(n);
	} catch (const std::logic_error &) {
		return -1;
	} catch (...) {
		sink += 1;
		throw;
	}
}

struct Shape {
	virtual ~Shape() = default;
	virtual int area(int scale) const = 0;
};

struct Square : Shape {
	int side;
	explicit Square(int s) : side(s) {}
	int area(int scale) const override { return side * side * scale; }
};

struct Holder : Shape {
	std::vector<std::unique_ptr<Shape>> parts;
	int area(int scale) const override
	{
		int sum = 0;
		for (const auto &p : parts)
			sum += p->area(scale + 1);
		return sum;
	}
};

int
throws_in_a_callback(const void *a, const void *b)
{
	if (*static_cast<const int *>(a) == 7)
		throw 7;
	return *static_cast<const int *>(a) - *static_cast<const int *>(b);
}

void
exceptions()
{
	for (int n = 0; n < 5; n += 4) {
		try {
			catch_and_throw(n);
		} catch (const std::exception &e) {
			sink += std::string(e.what()).size();
		}
	}
	int values[] = { 3, 9, 7, 1 };
	try {
		qsort(values, 4, sizeof(values[0]), throws_in_a_callback);
	} catch (int n) {
		sink += static_cast<unsigned long>(n);
	}
}

void
containers()
{
	std::map<std::string, int> m;
	std::vector<std::string> v;

	for (int i = 0; i < 12; i++) {
		v.push_back(std::to_string(i * 7919 % 101));
		m[v.back()] += i;
	}
	std::sort(v.begin(), v.end(), [](const std::string &a, const std::string &b) { return a > b; });
	Holder h;
	for (int i = 1; i < 4; i++)
		h.parts.push_back(std::make_unique<Square>(i));
	sink += static_cast<unsigned long>(h.area(2)) + m.size() + v[0].size();
}

}

int
main()
{
	exceptions();
	containers();
	if (std::regex_match(std::string("aab"), std::regex("a+b")))
		sink += 1;
	return sink == 0;
}
