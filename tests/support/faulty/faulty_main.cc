// tessera_faulty: `tessera serve` on a pretended GPU of 100 MB whose models fail as their files say
// (fake_model_file.h), for tests that see a whole process end.
#include <CLI/CLI.hpp>
#include <memory>
#include <utility>
#include <vector>

#include "apps/serve.h"
#include "apps/serve_flags.h"
#include "device/fake/fake_device.h"
#include "engine/fake/fake_engine.h"

namespace {

using tessera::apps::Computing;

tessera::Result<std::vector<Computing>> open_pretended(const tessera::apps::DeviceChoice& /*choice*/,
                                                       const tessera::device::HostTopology& /*host*/,
                                                       tessera::Bytes /*max_body*/) {
  tessera::device::FakeOptions options;
  options.clock = tessera::device::FakeOptions::Clock::kReal;
  options.steady = true;
  auto engine = std::make_unique<tessera::engine::FakeEngine>(tessera::engine::FakeEngine::Plans::kFakeDevice);
  engine->set_memory({std::uint64_t{100} << 20});
  std::vector<Computing> out(1);
  out[0].kind = "cuda";
  out[0].description = "pretended";
  out[0].device = std::make_unique<tessera::device::FakeDevice>(options);
  out[0].engine = std::move(engine);
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("A server whose device fails on demand", "tessera_faulty");
  app.require_subcommand(1);
  tessera::apps::ServeOptions options;
  tessera::apps::add_serve_flags(*app.add_subcommand("serve", "As tessera serve"), options);
  CLI11_PARSE(app, argc, argv);
  return tessera::apps::serve(options, open_pretended);
}
