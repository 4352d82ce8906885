// Results as people and programs read them: what simulated and real runs share.
#pragma once

#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "base/time.h"
#include "loadgen/outcome.h"
#include "loadgen/search.h"
#include "loadgen/workload.h"

namespace tessera::loadgen {

inline double ms(Duration span) { return static_cast<double>(span.count()) / 1e6; }
inline double seconds(Duration span) { return std::chrono::duration<double>(span).count(); }

// As printf has it; what does not fit a line is cut off.
template <typename... Values>
std::string text(const char* form, Values... values) {
  char line[320];
  std::snprintf(line, sizeof line, form, values...);
  return line;
}

// A value as JSON.
std::string quoted(const std::string& text);
std::string digits(double value);  // six of them

enum class Columns { kOfSimulations, kWithFailed };  // nothing fails in a simulation

// One row a tenant and one of all; beyond `most` tenants the worst of them, and a line that says so.
std::string table(const std::vector<Tenant>& tenants, const Outcome& outcome, Columns columns, std::size_t most = 40);

// An object of JSON; `more`, if any, are further members of it, each behind a comma.
std::string tenant_json(const Tenant& tenant, const Tally& tally, const std::string& more = {});

// An object of JSON; `more` as above.
std::string probe_json(const Probe& probe, const std::string& more = {});

// The members of an object that tell of a search.
std::string search_json(const Capacity& capacity);

}  // namespace tessera::loadgen
