// Policy fixed: shares that stay.
#include <gtest/gtest.h>

#include "tests/support/virtual_world.h"

namespace tessera::testing {
namespace {

TEST(Fixed, EveryModelStaysInItsShare) {
  World w(device_of(8), "fixed:share.a=0.5");
  const InstanceId a = w.add_model(model("a"), Truth{});
  const InstanceId b = w.add_model(model("b"), Truth{});
  const InstanceId c = w.add_model(model("c"), Truth{});
  for (int i = 0; i < 10; ++i) {
    w.request(a);
    w.request(b);
    w.request(c);
  }
  w.run_to_rest();
  std::map<InstanceId, Slice> slices;
  for (const auto& launch : w.launches()) {
    slices.emplace(launch.instance, launch.slice);
    EXPECT_EQ(launch.slice, slices[launch.instance]);
  }
  EXPECT_EQ(slices[a].count, 4);
  EXPECT_EQ(slices[b].count, 2);
  EXPECT_EQ(slices[c].count, 2);
  EXPECT_FALSE(slices[a].overlaps(slices[b]) || slices[b].overlaps(slices[c]) || slices[a].overlaps(slices[c]));
}

TEST(Fixed, MoreModelsThanAtomsTakeTurns) {
  World w(device_of(2), "fixed");
  std::vector<InstanceId> models;
  for (int i = 0; i < 4; ++i) {
    models.push_back(w.add_model(model("m" + std::to_string(i)), Truth{}));
  }
  std::map<Slice, int> used;
  for (const InstanceId m : models) {
    w.request(m);
  }
  w.run_to_rest();
  for (const auto& launch : w.launches()) {
    ++used[launch.slice];
  }
  EXPECT_EQ(used.size(), 2U);
  w.expect_all_ended();
}

}  // namespace
}  // namespace tessera::testing
