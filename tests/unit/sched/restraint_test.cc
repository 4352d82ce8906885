// What policy tessera lets early batches hold that outlast what another model can wait.
#include <gtest/gtest.h>

#include "tests/support/virtual_world.h"

namespace tessera::testing {
namespace {

// The guard sees room for one more request each time, where two or three of them come in a row.
TEST(Restraint, EarlyBatchesThatOutlastATightModelsSlackLeaveItRoom) {
  World w(device_of(16), "tessera");
  auto params = model("tight", 8);
  params.slo = 2400us;
  const InstanceId tight = w.add_model(params, Truth{.fixed = 400us, .per_row = 2ms});
  params = model("lengthy", 16);
  params.slo = 50ms;
  const InstanceId lengthy = w.add_model(params, Truth{.fixed = 3ms, .per_batch = 10ms, .per_row = 15ms});
  w.poisson(tight, 800, at(30s), 1);
  w.poisson(lengthy, 300, at(30s), 2);
  w.run_until(30s);
  EXPECT_GE(w.score(tight, at(5s), at(30s)).attainment(), 0.99) << "0.978 if nobody held back";
  EXPECT_GE(w.score(lengthy, at(5s), at(30s)).attainment(), 0.998) << "it has the time";
}

}  // namespace
}  // namespace tessera::testing
