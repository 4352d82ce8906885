// What policy tessera leaves to models without an objective.
#include <gtest/gtest.h>

#include "tests/support/virtual_world.h"

namespace tessera::testing {
namespace {

// Always has requests waiting, and no objective.
InstanceId add_backlogged(World& w, const char* name, Truth truth, int requests) {
  const InstanceId id = w.add_model(model(name, 1), truth);
  for (int i = 0; i < requests; ++i) {
    w.request(id);
  }
  return id;
}

InstanceId add_bound(World& w, const char* name, Duration slo, Truth truth) {
  auto params = model(name, 1);
  params.slo = slo;
  return w.add_model(params, truth);
}

std::size_t began(const World& w, InstanceId id, TimePoint from, TimePoint until) {
  std::size_t count = 0;
  for (const auto& [request, fate] : w.fates()) {
    count += fate.instance == id && fate.launched && *fate.launched >= from && *fate.launched < until ? 1 : 0;
  }
  return count;
}

// The guard saw room for one more request each time; two that come at once need twice that.
TEST(Lending, OthersHaveWhatLetsModelsMeetTheirObjectives) {
  World w(device_of(8), "tessera");
  std::vector<InstanceId> bound;
  for (const char* name : {"a", "b", "c"}) {
    bound.push_back(add_bound(w, name, 12ms, Truth{.fixed = 500us, .per_row = 12ms}));
    w.poisson(bound.back(), 40, at(40s), bound.size());
  }
  std::vector<InstanceId> others;
  for (const char* name : {"x", "y", "z"}) {
    others.push_back(add_backlogged(w, name, Truth{.fixed = 1ms, .per_row = 12ms}, 30'000));
  }
  w.run_until(40s);
  World::Score all;
  for (const InstanceId id : bound) {
    const World::Score score = w.score(id, at(4s), at(40s));
    EXPECT_GE(score.attainment(), 0.985) << w.params(id).name;
    all.offered += score.offered;
    all.met += score.met;
  }
  EXPECT_GE(all.attainment(), 0.99);
  for (const InstanceId id : others) {
    EXPECT_GE(began(w, id, at(4s), at(40s)), 1'000U) << "what is left is theirs";
  }
}

TEST(Lending, WhereAllIsAskedForNothingIsLent) {
  World w(device_of(8), "tessera");
  const InstanceId bound = add_bound(w, "bound", 10ms, Truth{.per_row = 8ms});
  const InstanceId other = add_backlogged(w, "other", Truth{.per_row = 8ms}, 3'000);
  w.run_until(500ms);
  EXPECT_GE(began(w, other, at(0ms), at(500ms)), 100U) << "nobody else asks for anything";
  w.poisson(bound, 2'500, at(3s), 1);  // the device carries a thousand
  w.run_until(3s);
  EXPECT_LE(began(w, other, at(1s), at(3s)), 2U);
  w.run_until(10s);
  EXPECT_GE(began(w, other, at(9s), at(10s)), 100U) << "they have gone";
}

TEST(Lending, OfOneAtomALittleIsLentNowAndThen) {
  World w(device_of(1), "tessera");
  const InstanceId bound = add_bound(w, "bound", 40ms, Truth{.per_row = 5ms});
  w.poisson(bound, 120, at(10s), 1);  // three fifths of the time
  const InstanceId other = add_backlogged(w, "other", Truth{.per_row = 5ms}, 3'000);
  w.run_until(10s);
  EXPECT_GE(w.score(bound, at(2s), at(10s)).attainment(), 0.99);
  const double share = static_cast<double>(began(w, other, at(2s), at(10s))) * 0.005 / 8.0;
  EXPECT_GE(share, 0.05);
  EXPECT_LE(share, 0.4);
}

TEST(Lending, AnObjectiveThatCannotBeMetTakesNothingFromOthers) {
  World w(device_of(4), "tessera");
  const InstanceId impossible = add_bound(w, "impossible", 1ms, Truth{.per_row = 8ms});  // 2 ms at the least
  w.poisson(impossible, 20, at(4s), 1);
  const InstanceId other = add_backlogged(w, "other", Truth{.per_row = 8ms}, 3'000);
  w.run_until(4s);
  EXPECT_GE(began(w, other, at(2s), at(4s)), 500U) << "a thousand fit";
}

}  // namespace
}  // namespace tessera::testing
