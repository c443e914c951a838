import remarkValidateLinks from 'remark-validate-links';

/** Only for checking: see `checkLinks` of scripts/support/doc-checks.mjs. */
export default {
  // Of no repository: a clone without a remote has the same links.
  plugins: [[remarkValidateLinks, { repository: false }]],
};
