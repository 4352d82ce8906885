// What devices are opened with, and what becomes of a GPU that cannot be used.
#include "apps/devices.h"

#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "apps/serve_flags.h"
#include "tests/support/cuda/fake_cuda.h"

namespace tessera::apps {
namespace {

constexpr Bytes gigabytes(std::uint64_t number) { return {number * 1'000'000'000}; }

TEST(HomesIn, AreAsManyAsTheCardsAndTheHostsMemoryPermit) {
  EXPECT_EQ(homes_in(gigabytes(141), gigabytes(1000), 1, 1), 8192U) << "the most";
  EXPECT_EQ(homes_in(gigabytes(80), gigabytes(1000), 1, 1), 7142U) << "a sixteenth of the card, 0.7 MB each";
  EXPECT_EQ(homes_in(gigabytes(141), gigabytes(64), 1, 1), 4000U) << "a fourth of the host, 4 MB each";
  EXPECT_EQ(homes_in(gigabytes(141), gigabytes(64), 4, 1), 1000U) << "which the cards share";
  EXPECT_EQ(homes_in(gigabytes(141), gigabytes(64), 1, 2), 2000U) << "as the parts of one do";
  EXPECT_EQ(homes_in(gigabytes(4), gigabytes(4), 1, 4), 128U) << "the fewest";
}

constexpr Bytes kMaxBody{1 << 20};

Duration pause_of(CompletionMode mode, std::uint16_t cores) {
  return cuda_options({}, 1, kMaxBody, mode, cores).poll_pause;
}

TEST(Completion, SpinsUnlessCoresAreFewOrItIsToldTo) {
  EXPECT_EQ(pause_of(CompletionMode::kAuto, 3), Duration{0});
  EXPECT_GT(pause_of(CompletionMode::kAuto, 2), Duration{0});
  for (const std::uint16_t cores : {1, 2, 64}) {
    EXPECT_EQ(pause_of(CompletionMode::kSpin, cores), Duration{0}) << cores;
    EXPECT_EQ(pause_of(CompletionMode::kLowPower, cores), std::chrono::microseconds(50)) << cores;
  }
}

DeviceChoice chosen(std::vector<std::string> flags) {
  CLI::App app;
  ServeOptions options;
  add_service_flags(app, options);
  std::reverse(flags.begin(), flags.end());  // as CLI11 takes them
  app.parse(flags);
  return options.device;
}

TEST(Completion, TheFlagHoldsWhereverItStands) {
  EXPECT_EQ(chosen({"--device", "cuda:0"}).completion, CompletionMode::kAuto);
  for (const auto& [word, mode] :
       {std::pair("spin", CompletionMode::kSpin), std::pair("low-power", CompletionMode::kLowPower),
        std::pair("auto", CompletionMode::kAuto)}) {
    for (const auto& flags : std::vector<std::vector<std::string>>{{"--completion", word, "--device", "cuda:1"},
                                                                   {"--device", "cuda:1", "--completion", word}}) {
      const DeviceChoice choice = chosen(flags);
      EXPECT_EQ(choice.completion, mode) << word;
      EXPECT_EQ(choice.cuda.front().gpu, 1);
    }
  }
  EXPECT_THROW(chosen({"--completion", "sometimes"}), CLI::ValidationError);
}

// Without ONNX Runtime's CUDA provider, or on a card that it has no code for, a GPU cannot be used.
class UnusableGpu : public testing::Test {
 protected:
  static Result<std::vector<Computing>> open(const char* device) {
    const DeviceOpener opener([] { return Result<device::Driver>(device::test::FakeCuda::table()); });
    return opener(*parse_device(device), *device::HostTopology::of(), kMaxBody);
  }

  const device::test::FakeCuda cuda_{{.architecture = 61}};
};

TEST_F(UnusableGpu, ThatIsNamedIsRefusedInOneLine) {
  const auto opened = open("cuda:0");
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.error().code(), ErrorCode::kUnavailable);
  EXPECT_EQ(opened.error().message(), "fake gpu is of architecture 6.1, and 7.5 or newer is needed: use --device host");
}

TEST_F(UnusableGpu, IsNotTakenByAuto) {
  const auto opened = open("auto");
  ASSERT_TRUE(opened.ok()) << opened.error().message();
  ASSERT_EQ(opened->size(), 1U);
  EXPECT_EQ(opened->front().kind, "host");
}

}  // namespace
}  // namespace tessera::apps
