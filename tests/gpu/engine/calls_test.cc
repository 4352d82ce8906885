// That loading a model, and letting it go, calls nothing of CUDA that makes neighbours wait.
#include <dlfcn.h>

#include <array>
#include <thread>

#include "engine/onnxruntime/cuda/cuda_model.h"
#include "engine/onnxruntime/cuda/provider_calls.h"
#include "tests/gpu/engine/cuda_fixture.h"
#include "tests/gpu/settings.h"
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

  // As a server loads: sessions first, with the options that suit them, then every lane, in every slice.
  void load_as_servers_do(LoadedModel& model, const std::vector<std::int32_t>& buckets) const {
    for (const std::int32_t bucket : buckets) {
      const Status built = model.build(bucket);
      ASSERT_TRUE(built.ok()) << built.error().message();
      for (std::uint16_t lane = 0; lane < 2; ++lane) {
        const Status captured = model.capture(bucket, {lane});
        ASSERT_TRUE(captured.ok()) << captured.error().message();
        for (const Slice& slice : shape().ladder) {
          const auto homed = model.home(bucket, {lane}, slice);
          EXPECT_TRUE(homed.ok() || homed.error().code() == ErrorCode::kUnsupported) << homed.error().message();
        }
      }
    }
  }
  // What the first model of a process costs is another test's.
  void load_a_first_model() {
    first_ = load(image_model(1));
    ASSERT_NE(first_, nullptr);
    ASSERT_NE(home(*first_, 1, 0, shape().whole()), nullptr);
    static_cast<void>(recorder_->take());
  }
  void let_first_go() { first_.reset(); }

  std::unique_ptr<CallRecorder> recorder_;

 private:
  std::unique_ptr<LoadedModel> first_;
};

// On the first atoms of the card; the others are another device, with an engine of its own.
class CallsOfPartsTest : public CallsTest {
 protected:
  void SetUp() override {
    CallsTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) {
      return;
    }
    const auto atoms = static_cast<std::uint16_t>(device_->gpu()->atoms());
    auto device = device::make_cuda_device(device_->gpu(), part({kAtoms, static_cast<std::uint16_t>(atoms - kAtoms)}));
    ASSERT_TRUE(device.ok()) << device.error().message();
    other_device_ = *std::move(device);
    other_device_->set_sink(ends_);
    const std::array others{engine_->shared()};
    auto engine = CudaEngine::create(*other_device_, others);
    ASSERT_TRUE(engine.ok()) << engine.error().message();
    other_engine_ = *std::move(engine);
  }
  void TearDown() override {
    let_first_go();
    other_engine_.reset();
    other_device_.reset();
    CallsTest::TearDown();
  }
  device::CudaOptions device_options() const override { return part({0, kAtoms}); }

  Completions ends_;
  std::unique_ptr<device::CudaDevice> other_device_;
  std::unique_ptr<CudaEngine> other_engine_;

 private:
  static constexpr std::uint16_t kAtoms = 2;

  static device::CudaOptions part(const Slice& atoms) {
    device::CudaOptions options;
    options.spec = {.gpu = 0, .atoms = atoms};
    options.streams = 4;
    return options;
  }
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

TEST_F(CallsTest, ALoadWithTimedChoicesInAllLanesStallsNoNeighbour) {
  load_a_first_model();
  auto model = load(image_model(2));
  ASSERT_NE(model, nullptr);
  load_as_servers_do(*model, {1, 2, 4});
  expect_harmless("calls_of_a_tuned_load");
  auto& tuned = dynamic_cast<CudaModel&>(*model);
  ASSERT_NE(home(*model, 3, 0, shape().whole()), nullptr);
  static_cast<void>(recorder_->take());
  tuned.tuned().keep(tuned.tuning_key(3), tried_options()[1]);
  load_as_servers_do(*model, {3});
  expect_harmless("calls_of_a_plan_that_is_replaced");
  model.reset();
  let_first_go();
  expect_harmless("calls_of_its_unload");
}

TEST_F(CallsTest, AnUncapturedLoadStallsNoNeighbour) {
  load_a_first_model();
  LoadOptions options = options_for(image_model(2));
  const Slice slice{0, 1};
  options.uncaptured_in = slice;
  auto loaded = engine_->load(options);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message();
  const device::Plan* plan = home(**loaded, 4, 0, slice);
  ASSERT_NE(plan, nullptr);
  expect_harmless("calls_of_an_uncaptured_load");
  run(plan, slice, images(4, 4, 3));
  run(plan, slice, images(2, 4, 3));
  expect_harmless("calls_of_uncaptured_runs");
  loaded->reset();
  let_first_go();
  expect_harmless("calls_of_an_uncaptured_unload");
}

TEST_F(CallsTest, AVersionThatTakesAnothersPlaceStallsNoNeighbour) {
  load_a_first_model();
  auto old = load(image_model(2));
  ASSERT_NE(old, nullptr);
  load_as_servers_do(*old, {1, 4});
  static_cast<void>(recorder_->take());
  auto next = load(image_model(3));
  ASSERT_NE(next, nullptr);
  load_as_servers_do(*next, {1});
  run(home(*next, 1, 0, shape().whole()), shape().whole(), images(1, 1, 3));
  old.reset();
  load_as_servers_do(*next, {4});
  run(home(*next, 4, 0, shape().whole()), shape().whole(), images(4, 4, 3));
  expect_harmless("calls_of_a_version_swap");
  next.reset();
  let_first_go();
}

TEST_F(CallsTest, ALoadOfARealModelStallsNoNeighbour) {
  const auto file = test_support::real_model("resnet50");
  if (!file) {
    GTEST_SKIP() << "TESSERA_GPU_MODELS names no repository with resnet50";
  }
  load_a_first_model();
  LoadOptions options;
  options.file = *file;
  options.max_batch_size = 8;
  auto loaded = engine_->load(options);
  ASSERT_TRUE(loaded.ok()) << loaded.error().message();
  load_as_servers_do(**loaded, {1, 8});
  expect_harmless("calls_of_a_load_of_resnet50");
  loaded->reset();
  let_first_go();
  expect_harmless("calls_of_an_unload_of_resnet50");
}

// A replica takes its weights from the other device's memory.
TEST_F(CallsOfPartsTest, AReplicaStallsNoNeighbour) {
  load_a_first_model();
  LoadOptions options = options_for(image_model(2));
  options.digest = "image-model";
  options.cache_dir = folder_ / "cache";
  auto first = engine_->load(options);
  ASSERT_TRUE(first.ok()) << first.error().message();
  load_as_servers_do(**first, {1, 4});
  static_cast<void>(recorder_->take());
  std::thread loader([&] {
    ASSERT_TRUE(other_device_->become_loader_thread().ok());
    auto replica = other_engine_->load(options);
    ASSERT_TRUE(replica.ok()) << replica.error().message();
    for (const std::int32_t bucket : {1, 4}) {
      ASSERT_TRUE((*replica)->build(bucket).ok());
      for (std::uint16_t lane = 0; lane < 2; ++lane) {
        ASSERT_TRUE((*replica)->capture(bucket, {lane}).ok());
        ASSERT_TRUE((*replica)->home(bucket, {lane}, other_device_->shape().whole()).ok());
      }
    }
  });
  loader.join();
  expect_harmless("calls_of_a_replica");
  first->reset();
}

}  // namespace
}  // namespace tessera::engine
