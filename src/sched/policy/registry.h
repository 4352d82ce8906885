// Which policies there are: a line each, which is all that has to be said of one outside of its file. Whatever lists
// policies (help, errors, the tests of the rules that hold for all) reads it here. Private to this folder.
//
// POLICY(its name for --policy, of which its file has a make_NAME; an example of its options, where it has any; what it
// does)
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "sched/policy.h"

// clang-format off
#define TESSERA_POLICIES(POLICY)                                                                                      \
  POLICY(tessera, "", "for each batch the slice that its deadline needs, shares by weight where not all fits")        \
  POLICY(temporal, "triton=1", "the whole device, one batch at a time; triton=1: batches as Triton forms them")       \
  POLICY(streams, "", "the whole device, all at once")                                                                \
  POLICY(fixed, "share.NAME=0.5" , "every model in a share of its own, equal ones where none is named")               \
  POLICY(gslice, "window_ms=20,stand_by_ms=3", "shares that are learned from windows of answers (500 and 100 ms)")    \
  POLICY(dstack, "", "every model at the knee of its profile, packed in space and time")
// clang-format on

namespace tessera::sched {

using PolicyOptions = std::map<std::string, std::string>;

// make_tessera() and so on. Error: an option that the policy does not know, or a value it cannot use.
#define TESSERA_DECLARE(name, options, help) Result<std::unique_ptr<Policy>> make_##name(const PolicyOptions&);
TESSERA_POLICIES(TESSERA_DECLARE)
#undef TESSERA_DECLARE

}  // namespace tessera::sched
