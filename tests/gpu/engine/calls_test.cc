// That loading a model, and letting it go, calls nothing of CUDA that makes neighbours wait.
#include <dlfcn.h>

#include "engine/onnxruntime/cuda/provider_calls.h"
#include "tests/gpu/engine/cuda_fixture.h"
#include "tests/support/cuda/call_recorder.h"
#include "tests/support/figure.h"

namespace tessera::engine {
namespace {

using device::contract::CallRecorder;
using device::contract::RecordedCalls;

class CallsTest : public CudaEngineTest {
 protected:
  void SetUp() override {
    CudaEngineTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    auto recorder = CallRecorder::start(device_->gpu());
    if (!recorder.ok()) {
      GTEST_SKIP() << recorder.error().message();
    }
    recorder_ = *std::move(recorder);
  }
  void TearDown() override {
    recorder_.reset();
    CudaEngineTest::TearDown();
  }
  void expect_harmless(const std::string& what) {
    const RecordedCalls calls = recorder_->take();
    test_support::figure(what, to_json(calls));
    if (const ProviderCalls* provider = ProviderCalls::installed()) {
      const auto counts = provider->counts();
      test_support::figure("provider_calls_so_far", "{\"handles_made\":" + std::to_string(counts.handles_made) +
                                                        ",\"handles_given\":" + std::to_string(counts.handles_given) +
                                                        ",\"copies\":" + std::to_string(counts.copies) +
                                                        ",\"waits\":" + std::to_string(counts.waits) +
                                                        ",\"blocks\":" + std::to_string(counts.blocks) + "}");
    }
    EXPECT_FALSE(calls.counts.empty()) << "nothing was recorded";
    for (const auto& [call, count] : calls.forbidden) {
      ADD_FAILURE() << what << ": " << count << " x " << call;
    }
    for (const std::string& caller : calls.callers) {
      ADD_FAILURE() << caller;
    }
  }

  std::unique_ptr<CallRecorder> recorder_;
};

TEST_F(CallsTest, ForbiddenCallsAreCaught) {
  const device::Driver& driver = device_->gpu()->driver();
  const auto copy =
      reinterpret_cast<decltype(&cuMemcpyHtoD)>(dlsym(dlopen("libcuda.so.1", RTLD_NOW), "cuMemcpyHtoD_v2"));
  ASSERT_NE(copy, nullptr);
  const std::vector<std::byte> pageable(1 << 20);
  CUdeviceptr memory = 0;
  recorder_->take();
  ASSERT_EQ(driver.mem_alloc(&memory, pageable.size()), CUDA_SUCCESS);
  ASSERT_EQ(copy(memory, pageable.data(), pageable.size()), CUDA_SUCCESS);
  EXPECT_EQ(recorder_->take().forbidden.size(), 1U) << "a large copy from pageable memory";
  ASSERT_EQ(copy(memory, pageable.data(), 4096), CUDA_SUCCESS);
  EXPECT_TRUE(recorder_->take().forbidden.empty()) << "a small one harms nobody";
  ASSERT_EQ(driver.memset_d8_async(memory, 0, 4096, nullptr), CUDA_SUCCESS);
  EXPECT_EQ(recorder_->take().forbidden.size(), 1U) << "work of the legacy stream";
  void* pinned = nullptr;
  ASSERT_EQ(driver.mem_host_alloc(&pinned, 4096, 0), CUDA_SUCCESS);
  ASSERT_EQ(driver.mem_free_host(pinned), CUDA_SUCCESS);
  EXPECT_EQ(recorder_->take().forbidden.size(), 2U) << "pinning and unpinning";
  ASSERT_EQ(driver.mem_free(memory), CUDA_SUCCESS);
  EXPECT_EQ(recorder_->take().forbidden.size(), 1U) << "a free";
}

TEST_F(CallsTest, ALoadStallsNoNeighbour) {
  // A model that is there already: what comes once a process is behind us.
  const auto first = load(image_model(1));
  ASSERT_NE(first, nullptr);
  ASSERT_NE(home(*first, 1, 0, shape().whole()), nullptr);
  static_cast<void>(recorder_->take());
  auto model = load(image_model(2));
  ASSERT_NE(model, nullptr);
  for (const std::int32_t bucket : {1, 4}) {
    for (std::uint16_t lane = 0; lane < 2; ++lane) {
      for (const Slice& slice : full_slices()) {
        ASSERT_NE(home(*model, bucket, lane, slice), nullptr);
      }
    }
  }
  expect_harmless("calls_of_a_load");
  model.reset();
  expect_harmless("calls_of_an_unload");
}

TEST_F(CallsTest, TheFirstLoadStallsNoNeighbour) {
  static_cast<void>(recorder_->take());
  const auto model = load(image_model());
  ASSERT_NE(model, nullptr);
  ASSERT_NE(home(*model, 4, 0, shape().whole()), nullptr);
  expect_harmless("calls_of_the_first_load");
}

}  // namespace
}  // namespace tessera::engine
