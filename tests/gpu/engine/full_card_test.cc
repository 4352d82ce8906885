// A card whose memory another process has taken: what needs more fails with a clear error, and what is there goes on.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "tests/gpu/engine/cuda_fixture.h"
#include "tests/gpu/settings.h"
#include "tests/support/figure.h"

namespace tessera::engine {
namespace {

constexpr const char* kHogSetting = "TESSERA_GPU_HOG_LEAVES_MB";
constexpr std::size_t kMb = 1 << 20;

// Takes all but so much, in ever smaller pieces; says "full" on standard output and holds it until standard input ends.
void hold_all_but(std::size_t left) {
  const auto driver = device::Driver::open();
  ASSERT_TRUE(driver.ok()) << driver.error().message();
  const auto gpu = device::Gpu::open(*driver, 0);
  ASSERT_TRUE(gpu.ok()) << gpu.error().message();
  const device::CurrentContext current(**gpu);
  std::size_t free = 0;
  std::size_t total = 0;
  for (std::size_t piece = std::size_t{1} << 36; piece >= 2 * kMb; piece /= 2) {
    CUdeviceptr taken = 0;
    while (driver->mem_get_info(&free, &total) == CUDA_SUCCESS && free >= piece + left &&
           driver->mem_alloc(&taken, piece) == CUDA_SUCCESS) {
    }
  }
  std::printf("\nfull %zu\n", free / kMb);
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
}

// This program as another process that fills the card; ended with its owner. Owned by one thread.
class Hog {
 public:
  explicit Hog(std::size_t leaves_mb) {
    std::array<int, 2> to{};
    std::array<int, 2> from{};
    TESSERA_CHECK(::pipe2(to.data(), O_CLOEXEC) == 0 && ::pipe2(from.data(), O_CLOEXEC) == 0);
    // All that allocates comes before the fork: this process has threads.
    const std::string setting = std::string(kHogSetting) + "=" + std::to_string(leaves_mb);
    std::vector<char*> environment;
    for (char** one = environ; *one != nullptr; ++one) {
      environment.push_back(*one);
    }
    environment.push_back(const_cast<char*>(setting.c_str()));
    environment.push_back(nullptr);
    std::array<char*, 3> arguments{const_cast<char*>("gpu_engine"),
                                   const_cast<char*>("--gtest_filter=HogProcess.HoldsTheCardsMemory"), nullptr};
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(to[0], STDIN_FILENO);
      ::dup2(from[1], STDOUT_FILENO);
      ::execve("/proc/self/exe", arguments.data(), environment.data());
      ::_exit(EXIT_FAILURE);
    }
    ::close(to[0]);
    ::close(from[1]);
    input_ = to[1];
    output_ = ::fdopen(from[0], "r");
  }
  ~Hog() {
    ::close(input_);
    std::fclose(output_);
    int status = 0;
    ::waitpid(pid_, &status, 0);
  }
  Hog(const Hog&) = delete;
  Hog& operator=(const Hog&) = delete;

  // What it left, in MB; nothing: it ended before.
  std::optional<int> full() const {
    std::array<char, 256> line{};
    while (std::fgets(line.data(), line.size(), output_) != nullptr) {
      int left = 0;
      if (std::sscanf(line.data(), "full %d", &left) == 1) {  // NOLINT(cert-err34-c): our own line
        return left;
      }
    }
    return std::nullopt;
  }

 private:
  pid_t pid_ = -1;
  int input_ = -1;
  std::FILE* output_ = nullptr;
};

TEST(HogProcess, HoldsTheCardsMemory) {
  const std::string left = test_support::setting(kHogSetting, "");
  if (left.empty()) {
    GTEST_SKIP() << "a process of another test";
  }
  hold_all_but(std::stoul(left) * kMb);
}

class FullCardTest : public CudaEngineTest {
 protected:
  // 128 MB of weights, of which a row's input uses little.
  static test_support::OnnxWriter large_model() {
    constexpr std::int64_t kWide = 2048;
    std::mt19937 random(3);
    test_support::OnnxWriter model;
    model.input("image", DType::kFp32, {"batch", kWide}).output("scores", DType::kFp32, {"batch", kWide});
    std::string last = "image";
    for (int layer = 0; layer < 8; ++layer) {
      const std::string weights = "w" + std::to_string(layer);
      const std::string next = layer == 7 ? "scores" : "t" + std::to_string(layer);
      model.initializer(weights, DType::kFp32, {kWide, kWide}, random_weights(random, kWide * kWide));
      model.node("MatMul", {last, weights}, {next});
      last = next;
    }
    return model;
  }
  // What the first thing that fails of a load says; ok: it can serve.
  Status try_to_load(const test_support::OnnxWriter& model) {
    auto loaded = engine_->load(options_for(model));
    if (!loaded.ok()) {
      return loaded.error();
    }
    const auto plan = (*loaded)->prepare_home(4, {0}, shape().whole());
    return plan.ok() ? ok_status() : Status(plan.error());
  }
};

TEST_F(FullCardTest, AModelThatFindsNoMemoryFailsAndOthersGoOn) {
  const auto beside = load(image_model());
  ASSERT_NE(beside, nullptr);
  const Slice whole = shape().whole();
  const device::Plan* plan = home(*beside, 4, 0, whole);
  ASSERT_NE(plan, nullptr);
  const auto expected = run(plan, whole, images(4, 4, 1));
  {
    const Hog hog(96);
    const auto left = hog.full();
    ASSERT_TRUE(left.has_value()) << "the other process could not fill the card";
    const Status large = try_to_load(large_model());
    ASSERT_FALSE(large.ok()) << "with " << *left << " MB left";
    EXPECT_EQ(large.error().code(), ErrorCode::kOutOfMemory) << large.error().message();
    EXPECT_NE(large.error().message().find("memory"), std::string::npos) << large.error().message();
    EXPECT_EQ(large.error().message().find('\n'), std::string::npos) << large.error().message();
    test_support::figure("load_on_a_full_card",
                         "{\"left_mb\":" + std::to_string(*left) + ",\"error\":\"" + large.error().message() + "\"}");
    for (std::uint32_t seed = 1; seed < 20; ++seed) {
      ASSERT_EQ(run(plan, whole, images(4, 4, 1)), expected) << seed;
    }
  }
  const Status after = try_to_load(large_model());
  EXPECT_TRUE(after.ok()) << "once the memory is free: " << after.error().message();
  EXPECT_EQ(run(plan, whole, images(4, 4, 1)), expected);
}

// With nothing left at all it is CUDA's libraries that find no room for what they keep of a session.
TEST_F(FullCardTest, WithNothingLeftAtAllTheCardGoesOn) {
  const auto beside = load(image_model());
  ASSERT_NE(beside, nullptr);
  const Slice whole = shape().whole();
  const device::Plan* plan = home(*beside, 4, 0, whole);
  ASSERT_NE(plan, nullptr);
  const auto expected = run(plan, whole, images(4, 4, 1));
  {
    const Hog hog(0);
    const auto left = hog.full();
    ASSERT_TRUE(left.has_value());
    int failed = 0;
    std::string words;
    for (std::uint32_t seed = 20; seed < 23; ++seed) {
      const Status status = try_to_load(image_model(seed));
      failed += status.ok() ? 0 : 1;
      words = status.ok() ? words : status.error().message();
      ASSERT_EQ(run(plan, whole, images(4, 4, 1)), expected) << "after a load: " << words;
    }
    std::replace(words.begin(), words.end(), '"', '\'');
    std::replace(words.begin(), words.end(), '\n', ' ');
    test_support::figure("loads_with_nothing_left", "{\"left_mb\":" + std::to_string(*left) + ",\"of_3_failed\":" +
                                                        std::to_string(failed) + ",\"error\":\"" + words + "\"}");
    EXPECT_GT(failed, 0) << "with " << *left << " MB left";
  }
  const Status after = try_to_load(image_model(23));
  EXPECT_TRUE(after.ok()) << "once the memory is free: " << after.error().message();
  EXPECT_EQ(run(plan, whole, images(4, 4, 1)), expected);
}

}  // namespace
}  // namespace tessera::engine
