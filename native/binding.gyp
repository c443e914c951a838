# Here and not beside package.json, where some package managers would compile at every installation.
{
  'variables': {
    # 1 when the header is there; a static archive is preferred, since it leaves no run-time dependency.
    'have_liburing%': '<!(node liburing.mjs have)',
    'liburing%': '<!(node liburing.mjs link)',
    'liburing_include%': '<!(node liburing.mjs include)',
    'sanitizer%': '',
    # 1 builds on Linux what other Unixes get (platform.h).
    'portable%': 0,
    # 1 builds what the package ships: nothing but the C library is needed at run time.
    'self_contained%': 0,
  },
  'targets': [
    {
      'target_name': 'ackgate',
      'sources': [
        'addon.cc',
        'binding_functions.cc',
        'create_sender.cc',
        'descriptors.cc',
        'epoll_poller.cc',
        'liburing_ring.cc',
        'owned_descriptors.cc',
        'pages.cc',
        'poll_poller.cc',
        'posix_sender.cc',
        'result_table.cc',
        'sender_core.cc',
        'socket_ops.cc',
        'uring_sender.cc',
        'wake_descriptor.cc',
      ],
      'include_dirs': ['<!(node -p "require(\'node-addon-api\').include_dir")'],
      'defines': [
        'NAPI_VERSION=8',
        'NODE_ADDON_API_DISABLE_DEPRECATED',
        'NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS',
        # A thread that is being terminated can call in once more, and can no longer throw: without this it aborts.
        'NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS',
      ],
      'cflags': ['-Wall', '-Wextra', '-Wno-unused-parameter'],
      'cflags_cc': ['-std=c++17', '-fvisibility=hidden'],
      'conditions': [
        ['portable==1', {'defines': ['ACKGATE_PORTABLE=1', 'HAVE_LIBURING=0']}, {
          'defines': ['HAVE_LIBURING=<(have_liburing)'],
          'conditions': [
            ['have_liburing==1', {'libraries': ['<(liburing)']}],
            ['liburing_include!=""', {'include_dirs': ['<(liburing_include)']}],
          ],
        }],
        # There the make files take no notice of cflags.
        ['OS=="mac"', {
          'xcode_settings': {
            'CLANG_CXX_LANGUAGE_STANDARD': 'c++17',
            'GCC_SYMBOLS_PRIVATE_EXTERN': 'YES',
            'WARNING_CFLAGS': ['-Wall', '-Wextra', '-Wno-unused-parameter'],
          },
        }],
        ['self_contained==1', {
          'cflags': ['-ffunction-sections', '-fdata-sections'],
          'ldflags': [
            '-static-libstdc++',
            '-static-libgcc',
            '-Wl,--gc-sections',
            '-Wl,--version-script=<(module_root_dir)/exports.map',
            '-s',
          ],
        }],
        ['sanitizer!=""', {
          'cflags': ['-fsanitize=<(sanitizer)', '-fno-omit-frame-pointer', '-g'],
          'ldflags': ['-fsanitize=<(sanitizer)'],
        }],
      ],
    },
  ],
}
