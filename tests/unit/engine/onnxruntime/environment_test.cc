// Several engines in one process.
#include "engine/onnxruntime/environment.h"

#include "tests/unit/engine/onnxruntime/engine_fixture.h"

namespace tessera::engine {
namespace {

using EnvironmentTest = EngineTest;

TEST_F(EnvironmentTest, IsOneForAllEngines) {
  const auto first = Environment::create().value();
  EXPECT_EQ(Environment::create().value().get(), first.get());
}

TEST_F(EnvironmentTest, AModelWorksOnAfterAnotherEngineIsGone) {
  auto other = OnnxEngine::create(topology_);
  ASSERT_TRUE(other.ok());
  auto model = load(test_support::matmul_chain_model(64, 2)).value();  // memory of the last engine's, were it another
  const device::HostPlan& plan = plan_for(*model);
  const auto run = [&] {
    const auto input = test_support::small_numbers(64, 99, 1.0F);
    Batch batch = batch_of(1, {{DType::kFp32, {64}, {bytes_of(input)}}});
    EXPECT_TRUE(plan.run({0, 1}, batch).ok());
    return numbers<float>(batch.outputs[0]);
  };
  const auto before = run();
  other->reset();
  EXPECT_EQ(run(), before);
  model.reset();
  EXPECT_TRUE(load(test_support::matmul_chain_model(64, 2)).ok());
}

}  // namespace
}  // namespace tessera::engine
