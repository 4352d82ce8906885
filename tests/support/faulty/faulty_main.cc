// tessera_faulty: `tessera serve` on pretended GPUs of 100 MB whose models fail as their files say (fake_model_file.h),
// for tests that see a whole process end.
#include <CLI/CLI.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "apps/serve.h"
#include "apps/serve_flags.h"
#include "base/ids.h"
#include "device/fake/fake_device.h"
#include "engine/fake/fake_engine.h"

namespace {

using tessera::apps::Computing;

constexpr tessera::Bytes kMemory{std::uint64_t{100} << 20};

std::vector<Computing> pretended(int devices) {
  std::vector<Computing> out(static_cast<std::size_t>(devices));
  for (std::size_t i = 0; i < out.size(); ++i) {
    tessera::device::FakeOptions options;
    options.clock = tessera::device::FakeOptions::Clock::kReal;
    options.steady = true;
    options.name += out.size() > 1 ? ":" + std::to_string(i) : "";
    auto engine = std::make_unique<tessera::engine::FakeEngine>(tessera::engine::FakeEngine::Plans::kFakeDevice);
    engine->memory().set(kMemory);
    out[i].kind = "cuda";
    out[i].description = "pretended";
    out[i].device = std::make_unique<tessera::device::FakeDevice>(options);
    out[i].engine = std::move(engine);
  }
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("A server whose device fails on demand", "tessera_faulty");
  app.require_subcommand(1);
  tessera::apps::ServeOptions options;
  int devices = 1;
  CLI::App& serve = *app.add_subcommand("serve", "As tessera serve");
  tessera::apps::add_serve_flags(serve, options);
  serve.add_option("--pretended-devices", devices, "how many")->check(CLI::Range(1, 8));
  CLI11_PARSE(app, argc, argv);
  return tessera::apps::serve(options, [devices](const auto&, const auto&, auto) { return pretended(devices); });
}
