// Results as people and programs read them: what simulated and real runs share.
#pragma once

#include <string>
#include <vector>

#include "loadgen/outcome.h"
#include "loadgen/search.h"
#include "loadgen/workload.h"

namespace tessera::loadgen {

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
