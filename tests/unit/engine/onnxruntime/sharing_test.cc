// Weights exist once: what a second slice of a model costs, and that its answers are the same.
#include <sys/mman.h>

#include <fstream>
#include <iostream>
#include <set>
#include <string>

#include "base/affinity.h"
#include "tests/unit/engine/onnxruntime/engine_fixture.h"

#ifdef TESSERA_SANITIZED
#define TESSERA_OWN_HEAP 0
#else
#define TESSERA_OWN_HEAP 1
#endif

namespace tessera::engine {
namespace {

constexpr Slice kOneCore{0, 1};
constexpr Slice kTwoCores{0, 2};

class SharingTest : public EngineTest {
 protected:
  void SetUp() override {
    if (topology_.atoms() < 2) {
      GTEST_SKIP() << "one processor only";
    }
  }
  static std::int64_t resident_bytes() {
    std::ifstream statm("/proc/self/statm");
    std::int64_t size = 0;
    std::int64_t pages = 0;
    statm >> size >> pages;
    return pages * ::sysconf(_SC_PAGESIZE);
  }
  static std::vector<float> run(LoadedModel& model, const Slice& slice, std::int64_t width, std::int32_t rows) {
    const auto input = test_support::small_numbers(static_cast<std::size_t>(width * rows), 99, 1.0F);
    Batch batch = batch_of(rows, {{DType::kFp32, {width}, {bytes_of(input)}}});
    const Status status = plan_for(model, slice).run(slice, batch);
    TESSERA_CHECK(status.ok());
    return numbers<float>(batch.outputs[0]);
  }
};

TEST_F(SharingTest, ASecondSliceAddsATenthOfLargeWeightsAtMost) {
  if (!TESSERA_OWN_HEAP) {
    GTEST_SKIP() << "sanitizers keep freed memory";
  }
  constexpr std::int64_t kWidth = 1500;
  auto model = load(test_support::matmul_chain_model(kWidth, 12)).value();
  const auto weights = static_cast<std::int64_t>(model->memory().weights.value);
  ASSERT_GE(weights, 100'000'000);
  plan_for(*model, kOneCore);
  const std::int64_t resident = resident_bytes();
  plan_for(*model, kTwoCores);
  const std::int64_t more_resident = resident_bytes() - resident;
  RecordProperty("weights", std::to_string(weights));
  RecordProperty("second_slice_resident", std::to_string(more_resident));
  RecordProperty("second_slice_own", std::to_string(model->memory().per_home.value));
  std::cout << "weights " << weights << " B, second slice: resident " << more_resident << " B, allocated "
            << model->memory().per_home.value << " B\n";
  EXPECT_LE(more_resident, weights / 10);
  EXPECT_LE(model->memory().per_home.value, static_cast<std::uint64_t>(weights / 10));
  EXPECT_GT(model->memory().per_home.value, 0U);
  EXPECT_EQ(run(*model, kOneCore, kWidth, 1), run(*model, kTwoCores, kWidth, 1));
}

TEST_F(SharingTest, PackedWeightsExistOnce) {
  if (!TESSERA_OWN_HEAP) {
    GTEST_SKIP() << "sanitizers have a heap of their own";
  }
  // Packing copies every matrix of this model. Were one matrix packed twice, a second session would cost its size more.
  constexpr std::int64_t kWidth = 512;
  constexpr std::int64_t kMatrix = kWidth * kWidth * 4;
  auto model = load(test_support::matmul_chain_model(kWidth, 4)).value();
  plan_for(*model, kTwoCores);
  const auto own = static_cast<std::int64_t>(model->memory().per_home.value);
  std::cout << "a session's own cost " << own << " B beside " << model->memory().weights.value << " B of weights\n";
  EXPECT_LT(own, kMatrix);
}

// Adds a constant that no kernel packs, so its bytes are read where they lie.
test_support::OnnxWriter biased_model(const std::vector<float>& bias) {
  const auto width = static_cast<std::int64_t>(bias.size());
  test_support::OnnxWriter model;
  model.input("INPUT0", DType::kFp32, {"batch", width}).output("OUTPUT0", DType::kFp32, {"batch", width});
  model.initializer("bias", DType::kFp32, {width}, {reinterpret_cast<const char*>(bias.data()), bias.size() * 4});
  model.node("Add", {"INPUT0", "bias"}, {"OUTPUT0"});
  return model;
}

TEST_F(SharingTest, InitialisersHaveTheSameAddressInAllSessions) {
  for (const std::size_t width : {16U, 4096U}) {  // in the graph file, and in the weights file
    auto model = load(biased_model(test_support::small_numbers(width, 5, 1.0F))).value();
    const auto* onnx = dynamic_cast<const OnnxModel*>(model.get());
    ASSERT_NE(onnx, nullptr);
    const std::span<const std::byte> shared = onnx->weights().find("bias");
    ASSERT_EQ(shared.size(), width * 4);
    const auto size = static_cast<std::int64_t>(width);
    const auto one = run(*model, kOneCore, size, 1);
    const auto two = run(*model, kTwoCores, size, 1);
    EXPECT_EQ(one, two);

    // What is written there, both see.
    auto* const page =
        reinterpret_cast<std::byte*>(reinterpret_cast<std::uintptr_t>(shared.data()) & ~std::uintptr_t{4095});
    const auto extent = static_cast<std::size_t>(shared.data() + shared.size() - page);
    ASSERT_EQ(::mprotect(page, extent, PROT_READ | PROT_WRITE), 0);
    const float mark = 1000.0F;
    std::memcpy(const_cast<std::byte*>(shared.data()) + 4, &mark, sizeof mark);
    for (const Slice& slice : {kOneCore, kTwoCores}) {
      const auto now = run(*model, slice, size, 1);
      EXPECT_EQ(now[0], one[0]);
      EXPECT_GT(now[1], 900.0F);
    }
  }
}

TEST_F(SharingTest, AllSingleCoreSlicesShareOneSessionAndEveryBucketAndLaneAPlan) {
  auto model = load(test_support::add_sub_model(true)).value();
  EXPECT_TRUE(model->one_plan_per_slice());
  const auto* first = *model->prepare_home(1, LaneIndex{0}, {0, 1});
  EXPECT_EQ(first, *model->prepare_home(8, LaneIndex{1}, {1, 1}));
  const auto* larger = *model->prepare_home(1, LaneIndex{0}, kTwoCores);
  EXPECT_NE(first, larger);
  EXPECT_EQ(larger, *model->prepare_home(4, LaneIndex{1}, kTwoCores));
}

TEST_F(SharingTest, BitsAreEqualInEverySliceAndForEveryPlaceInABatch) {
  constexpr std::int64_t kWidth = 257;
  auto model = load(test_support::matmul_chain_model(kWidth, 3), 16).value();
  const auto one = run(*model, kOneCore, kWidth, 16);
  EXPECT_EQ(one, run(*model, kTwoCores, kWidth, 16));
  EXPECT_EQ(one, run(*model, {1, 1}, kWidth, 16));
}

std::vector<CpuSet> masks_of_slice_threads() {
  std::vector<CpuSet> masks;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::ifstream(task.path() / "comm") >> name;
    if (name == "ort-slice") {
      CpuSet set;
      TESSERA_CHECK(sched_getaffinity(std::stoi(task.path().filename()), sizeof(cpu_set_t), &set.bits()) == 0);
      masks.push_back(set);
    }
  }
  return masks;
}

TEST_F(SharingTest, HelperThreadsAreOneLessThanTheCoresOfTheirSliceAndStayThere) {
  const auto threads = [] { return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {}); };
  auto model = load(test_support::matmul_chain_model(64, 1)).value();
  const auto before = threads();
  EXPECT_TRUE(masks_of_slice_threads().empty());
  run(*model, kTwoCores, 64, 1);  // the threads have named and pinned themselves when they take part
  for (int i = 0; i < 200 && masks_of_slice_threads().empty(); ++i) {
    ::usleep(5000);
  }
  EXPECT_EQ(threads(), before + 1);
  const auto masks = masks_of_slice_threads();
  ASSERT_EQ(masks.size(), 1U);
  EXPECT_EQ(masks[0].list(), std::vector<int>{topology_.helper_cpus(kTwoCores)[0]});
  model.reset();
  EXPECT_EQ(threads(), before);
}

class CacheTest : public SharingTest {
 protected:
  std::unique_ptr<LoadedModel> load_cached() {
    LoadOptions options;
    options.file = folder_ / "model.onnx";
    options.digest = "0123abcd";
    options.max_batch_size = 8;
    options.cache_dir = folder_ / "cache";
    auto loaded = engine_->load(options);
    EXPECT_TRUE(loaded.ok()) << loaded.error().message();
    return std::move(loaded).value();
  }
  std::vector<std::filesystem::path> entries() const {
    std::vector<std::filesystem::path> found;
    for (const auto& entry : std::filesystem::directory_iterator(folder_ / "cache")) {
      found.push_back(entry.path());
    }
    return found;
  }
};

TEST_F(CacheTest, AnOptimisedCopyIsKeptAndUsedAgain) {
  save(test_support::matmul_chain_model(64, 2));
  const auto first = run(*load_cached(), kOneCore, 64, 2);
  ASSERT_EQ(entries().size(), 1U);
  const auto written = std::filesystem::last_write_time(entries()[0] / "model.onnx");
  EXPECT_EQ(run(*load_cached(), kOneCore, 64, 2), first);
  ASSERT_EQ(entries().size(), 1U);
  EXPECT_EQ(std::filesystem::last_write_time(entries()[0] / "model.onnx"), written);
}

TEST_F(CacheTest, ADamagedCopyIsReplaced) {
  save(test_support::matmul_chain_model(64, 2));
  const auto first = run(*load_cached(), kOneCore, 64, 2);
  for (const char* name : {"weights", "model.onnx", "checksums"}) {
    const auto file = entries().at(0) / name;
    {
      std::fstream damaged(file, std::ios::in | std::ios::out | std::ios::binary);
      damaged.seekp(40);
      damaged << "damage";
    }
    EXPECT_EQ(run(*load_cached(), kOneCore, 64, 2), first) << name;
    std::filesystem::resize_file(file, 10);
    EXPECT_EQ(run(*load_cached(), kOneCore, 64, 2), first) << name;
    std::filesystem::remove(file);
    EXPECT_EQ(run(*load_cached(), kOneCore, 64, 2), first) << name;
    EXPECT_EQ(entries().size(), 1U);
  }
}

TEST_F(CacheTest, WithoutACacheNothingStaysBehind) {
  const auto temporary = [] {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::temp_directory_path())) {
      if (entry.path().filename().string().starts_with("tessera-onnx-")) {
        names.insert(entry.path().filename());
      }
    }
    return names;
  };
  ASSERT_EQ(::setenv("TMPDIR", folder_.c_str(), 1), 0);
  auto model = load(test_support::matmul_chain_model(64, 2)).value();
  EXPECT_EQ(temporary().size(), 1U);
  model.reset();
  EXPECT_TRUE(temporary().empty());
  EXPECT_FALSE(load(test_support::identity_model(DType::kFp32, {1}).node("Frobnicate", {"INPUT0"}, {"x"})).ok());
  EXPECT_TRUE(temporary().empty());
  ::unsetenv("TMPDIR");
}

}  // namespace
}  // namespace tessera::engine
